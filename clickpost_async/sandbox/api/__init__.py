"""ClickPost's endpoints in the sandbox, one module per group.

Importing a module declares its operations; each of them is imported here.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
