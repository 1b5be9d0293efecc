"""docs/settings.md: every key of every configuration file, from the models that read them."""

from collections.abc import Iterator, Mapping
from typing import Any

from edge.config.gateway_file import GatewayFile
from ingest.config import IngestConfig
from metering.park.description import ParkDescription
from metering.program.config import Model

_HEAD = """# Settings

Every key of the three configuration files, generated from the models that read them (`make generate`).
Unknown keys are refused. Relative paths count from the file's folder. Secrets come from files or from
environment variables, never from the file itself.
"""
_FILES: Mapping[str, type[Model]] = {
    "gateway.yaml": GatewayFile,
    "ingest.yaml": IngestConfig,
    "park.yaml": ParkDescription,
}


def settings_page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(_section(file, model) for file, model in _FILES.items())])


def keys_without_description() -> list[str]:
    """Return the keys that the page cannot explain."""
    return [
        f"{file}: {key}" for file, model in _FILES.items() for key, _, _, text in _rows(model) if not text
    ]


def _section(file: str, model: type[Model]) -> str:
    lines = [f"## {file}", "", "| key | form | default | meaning |", "|---|---|---|---|"]
    lines += [f"| `{key}` | {form} | {default} | {text} |" for key, form, default, text in _rows(model)]
    return "\n".join([*lines, ""])


def _rows(model: type[Model]) -> Iterator[tuple[str, str, str, str]]:
    schema = model.model_json_schema()
    yield from _keys(schema, schema.get("$defs", {}), "")


def _keys(
    schema: Mapping[str, Any], parts: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str, str, str]]:
    required = schema.get("required", [])
    for name, given in schema.get("properties", {}).items():
        form = _resolved(given, parts)
        default = "**needed**" if name in required else _default(given)
        text = given.get("description") or form.get("description", "")
        yield prefix + name, _form(given, parts), default, text.split("\n\n")[0].replace("\n", " ")
        yield from _inner(form, parts, prefix + name)


def _inner(
    form: Mapping[str, Any], parts: Mapping[str, Any], key: str
) -> Iterator[tuple[str, str, str, str]]:
    """Go into objects, lists of objects (`key[].`) and tables by name (`key.<name>.`)."""
    if "properties" in form:
        yield from _keys(form, parts, f"{key}.")
    elif "items" in form:
        yield from _keys(_resolved(form["items"], parts), parts, f"{key}[].")
    else:
        of_names = form.get("additionalProperties") or next(
            iter(form.get("patternProperties", {}).values()), {}
        )
        yield from _keys(_resolved(of_names, parts), parts, f"{key}.&lt;name&gt;.")


def _resolved(schema: Any, parts: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    """Follow references, and a choice to its one option that is not null."""
    if not isinstance(schema, Mapping):
        return {}
    if "$ref" in schema:
        return _resolved(parts[schema["$ref"].rpartition("/")[2]], parts)
    options = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    # A short form (one value) beside a list of entries: the list is what has keys.
    lists = [one for one in options if one.get("type") == "array"]
    chosen = options if len(options) == 1 else lists
    return _resolved(chosen[0], parts) if chosen else schema


def _form(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    form = _resolved(schema, parts)
    options = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if len(options) > 1:
        return " or ".join(dict.fromkeys(_form(one, parts) for one in options))
    if "enum" in form:
        return ", ".join(f"`{one}`" for one in form["enum"])
    words = {"object": "table", "array": "list", "string": "text", "boolean": "true or false"}
    kind = str(form.get("type", "any"))
    return words.get(kind, kind) + _bounds(form)


def _bounds(form: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {form[key]:g}" for key, sign in signs.items() if key in form]
    return f" {', '.join(found)}" if found else ""


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return "" if default is None or isinstance(default, dict | list) else f"`{default}`"
