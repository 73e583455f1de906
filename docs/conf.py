"""How Sphinx builds these pages: `nox -s docs`."""

import enum
import importlib
import inspect
import re
import tomllib
import typing
from pathlib import Path

import attrs
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature

from clickpost_async import Windows
from clickpost_async.bulk import OrderReader, Run
from clickpost_async.endpoints._namespace import Namespace

project = "clickpost_async"
author = "The clickpost_async authors"
release = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())[
    "project"
]["version"]
html_title = f"clickpost_async {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]
html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings are written as Markdown: one backtick is code.
default_role = "code"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
add_module_names = False
maximum_signature_line_length = 88

nitpicky = True
# Names of other packages, and names that no page documents, such as type variables.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(anyio|asyncio|collections|datetime|enum|httpx|os|pathlib|types|typing)\..*",
    ),
    (
        r"py:.*",
        r"(_io|array|functools|contextlib|opentelemetry|redis|django|starlette|litestar|taskiq|taskiq_redis|pytest|attrs)\..*",
    ),
    (r"py:.*", r"[A-Z][a-z]?|[A-Z]_co|.*_contra|.*\.[A-Z][a-z]?|.*\.[A-Z]_co"),
    (r"py:.*", r"optional|default|[a-z ]*|.*, .*|.*\[.*"),
    # Passed through; only the package creates them.
    (r"py:.*", r"clickpost_async\.(bulk\.journal\.Journal|settings\.Secret)"),
    (r"py:.*", r"clickpost_async\.sandbox\.store\.records\..*|Between"),
    (r"py:.*", r"clickpost_async\.files\.(map_entries|order_rows\.SourceRow)\b.*"),
    (
        r"py:.*",
        r"(Any|ImproperlyConfigured|Path|Awaitable|Callable|Iterable|Mapping|Sequence|Self|datetime)",
    ),
]


def setup(app: Sphinx) -> None:
    """Connect the hooks of signatures and references, and that of `llms.txt`."""
    app.connect("build-finished", write_llms_txt)
    app.connect("autodoc-process-signature", written_signature)
    app.connect("autodoc-process-docstring", with_members)
    app.connect("missing-reference", public_name)


def written_signature(
    _app: Sphinx,
    what: str,
    _name: str,
    kind: object,
    _options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None] | None:
    """Show the fields of a structure without the constraints in their annotations."""
    if what != "class" or not isinstance(kind, type):
        return None
    if issubclass(kind, (Namespace, OrderReader, Run, Windows, enum.Enum)):
        return "", None  # created by the package only
    if not attrs.has(kind):
        return None if signature is None else (legible(signature), returned)
    hints = typing.get_type_hints(kind)
    own = inspect.signature(kind)
    parameters = [
        parameter.replace(annotation=hints.get(name, parameter.annotation))
        for name, parameter in own.parameters.items()
        if name not in ("extra", "original", "response")
    ]
    bare = own.replace(parameters=parameters, return_annotation=own.empty)
    text = stringify_signature(bare, unqualified_typehints=True)
    return legible(text), returned


def legible(signature: str) -> str:
    """Write defaults as Python source, so that the signature can be read and linked."""
    signature = re.sub(r"<factory>|Factory\([^)]*\)|NOTHING", "...", signature)
    return re.sub(r"<function (\w+).*?>", r"\1", signature)


def with_members(
    _app: Sphinx,
    what: str,
    _name: str,
    kind: object,
    _options: object,
    lines: list[str],
) -> None:
    """Append the members of an enumeration to its docstring."""
    if what == "class" and isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = (
            f" ({each.value})" if each.value != each.name else "" for each in kind
        )
        members = (
            f"`{each.name}`{value}" for each, value in zip(kind, values, strict=True)
        )
        lines += ["", ", ".join(members), ""]


def public_name(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, contents: nodes.Element
) -> nodes.Element | None:
    """Resolve a name in a private module to the public name that is documented."""
    if node.get("refdomain") != "py":
        return None
    module, _, last = node["reftarget"].rpartition(".")
    if not module.startswith("clickpost_async"):
        return None
    domain = env.domains.python_domain
    meant = named(module, last)
    alike = (name.rpartition(".") for name in domain.objects)
    found = [
        f"{place}.{name}"
        for place, _, name in alike
        if meant is not None and name == last and named(place, name) is meant
    ]
    if not found:
        return None
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, "obj", found[0], node, contents
    )


def named(module: str, name: str) -> object:
    """Return an attribute of a module, or `None` if there is no such module or name."""
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def write_llms_txt(app: Sphinx, error: Exception | None) -> None:
    """List every page with its first sentence, as https://llmstxt.org describes."""
    if error is not None or app.builder.format != "html":
        return
    index = app.env.get_doctree("index")
    lines = [f"# {project}", "", f"> {first_sentence(index)}"]
    for group in index.findall(addnodes.toctree):
        lines += ["", f"## {group['caption']}", ""]
        for _, page in group["entries"]:
            title = app.env.titles[page].astext()
            about = first_sentence(app.env.get_doctree(page))
            lines.append(f"- [{title}]({app.builder.get_target_uri(page)}): {about}")
    (Path(app.outdir) / "llms.txt").write_text("\n".join(lines) + "\n", "utf-8")


def first_sentence(page: nodes.document) -> str:
    """Return the first sentence of a page's text."""
    text = next((part.astext() for part in page.findall(nodes.paragraph)), "")
    return re.split(r"(?<=[.!?])\s", " ".join(text.split()), maxsplit=1)[0]
