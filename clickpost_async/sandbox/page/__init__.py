"""The sandbox's page: a browser shows what happens, and lets people make more of it happen.

Templates write every row here, with everything escaped; the browser only puts them in their places.
"""
