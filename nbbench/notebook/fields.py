"""A widget for each argument, made from the schema: its type, its help, its default.

Nothing but ipywidgets 7.7 is needed, so that the form is the same in Colab as in JupyterLab.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args, get_origin

import ipywidgets as widgets
from pydantic.fields import FieldInfo

from ..arguments.schema import BenchmarkArguments
from ..arguments.words import quoted_word, split_words
from ..display.cell_output import escaped_note
from ..frameworks import backend_names
from ..plan.catalogue import catalogue

_LABEL = {"description_width": "9em"}
_WIDE = {"width": "32em", "max_width": "100%"}

_TOOLTIP = "tooltip" if hasattr(widgets.DOMWidget, "tooltip") else "description_tooltip"
"""What this ipywidgets calls it: version 7 the latter."""

Changed = Callable[[], None]


def row_label(text: str) -> Any:
    """The label of a row of boxes, where the labels of the other fields stand."""
    layout = {"width": "9em", "min_width": "9em", "justify_content": "flex-end"}
    return widgets.Label(text, layout=widgets.Layout(display="flex", **layout))


class Field:
    """An argument's widget with room for a message beside it.

    ``box`` is what is shown; ``read`` gives the value as `BenchmarkArguments` takes it.
    """

    def __init__(self, name: str, default: Any, changed: Changed) -> None:
        self.name = name
        self.help = BenchmarkArguments.model_fields[name].description or ""
        self._message = widgets.HTML(layout=widgets.Layout(margin="0 0 0 1em"))
        self.box = widgets.HBox([self._make(default, changed), self._message])

    def show_message(self, sentence: str) -> None:
        """Show what is wrong with the value; nothing for an empty sentence."""
        self._message.value = escaped_note(sentence)

    def read(self) -> Any:
        """The value that is set."""
        return self._widget.value

    def _make(self, default: Any, changed: Changed) -> Any:
        self._widget = self._input(default)
        self._widget.observe(lambda _: changed(), "value")
        return self._widget

    def _input(self, default: Any) -> Any:
        raise NotImplementedError

    def _options(self) -> dict[str, Any]:
        """The label, and the help as a tooltip."""
        label = self.name.replace("_", " ")
        return {"description": label, _TOOLTIP: self.help, "style": _LABEL, "layout": _WIDE}


class TextField(Field):
    """Words or numbers, as one would give them on a command line."""

    def __init__(self, name: str, default: Any, changed: Changed, *, several: bool) -> None:
        self._several, self._is_dict = several, isinstance(default, dict)
        super().__init__(name, default, changed)

    def read(self) -> Any:
        """The words of the text where there may be several; None where it may be left open."""
        text = self._widget.value.strip()
        if self._is_dict:
            with suppress(ValueError):
                return json.loads(text or "{}")
        if not self._several:
            if text.startswith("[") and self._may_be_list():
                with suppress(ValueError):
                    return json.loads(text)
            return None if text == "" and self._may_be_open() else text
        try:
            return split_words(text, ",")
        except ValueError:  # a quotation mark that waits for its other
            return [text]

    def _may_be_open(self) -> bool:
        return type(None) in self._kinds()

    def _may_be_list(self) -> bool:
        return any(get_origin(kind) is list for kind in self._kinds())

    def _kinds(self) -> tuple[Any, ...]:
        return get_args(BenchmarkArguments.model_fields[self.name].annotation)

    def _input(self, default: Any) -> Any:
        text = "" if default is None else str(default)
        if self._is_dict:
            text = json.dumps(default) if default else ""
        if self._several:
            text = " ".join(quoted_word(str(value), ",") for value in default)
        elif isinstance(default, list):
            text = json.dumps(default, ensure_ascii=False)
        return widgets.Text(text, continuous_update=True, **self._options())


class BoolField(Field):
    """On or off."""

    def be_compact(self) -> None:
        """Take no more room than the label needs."""
        self._widget.indent = False
        self._widget.layout = widgets.Layout(width="auto", margin="0 1em 0 0.4em")

    def _input(self, default: Any) -> Any:
        return widgets.Checkbox(default, indent=True, **self._options())


class ChoiceField(Field):
    """One of a few."""

    def __init__(self, name: str, default: Any, changed: Changed, choices: Iterable[str]) -> None:
        self._choices = list(choices)
        super().__init__(name, default, changed)

    def _input(self, default: Any) -> Any:
        return widgets.Dropdown(options=self._choices, value=default, **self._options())


class ChoicesField(ChoiceField):
    """Some of a few, each with a box to check: first those that it begins with, as they are given.

    The order counts: cases are run in it, and a baseline may be the first.
    """

    def __init__(self, name: str, default: Any, changed: Changed, choices: Iterable[str]) -> None:
        super().__init__(name, default, changed, dict.fromkeys([*default, *choices]))

    def read(self) -> Any:
        """Those that are checked, in their order."""
        return [name for name, box in zip(self._choices, self._boxes, strict=True) if box.value]

    def _make(self, default: Any, changed: Changed) -> Any:
        self._boxes = [
            widgets.Checkbox(name in default, description=name, indent=False,
                             layout=widgets.Layout(width="auto", margin="0 1em 0 0"))
            for name in self._choices
        ]  # fmt: skip
        for box in self._boxes:
            box.observe(lambda _: changed(), "value")
        row = widgets.Layout(flex_flow="row wrap", margin="0 0 0 0.4em")
        label = row_label(self.name.replace("_", " "))
        return widgets.HBox([label, widgets.HBox(self._boxes, layout=row)])


class ModelsField(Field):
    """Names as tags; one is added with Enter or by its button, and the catalogue completes it."""

    def read(self) -> Any:
        """The models that are tags."""
        return list(self._names)

    def _make(self, default: Any, changed: Changed) -> Any:
        self._changed = changed
        self._names: list[str] = []
        self._tags = widgets.HBox(layout=widgets.Layout(flex_flow="row wrap", margin="0 0 0 9.4em"))
        self._entry = widgets.Combobox(
            options=sorted(catalogue()),
            ensure_option=False,
            placeholder="bert-base-uncased, a hub id, or a folder",
            continuous_update=False,  # a value comes with Enter, or as the text is left
            **self._options(),
        )
        self._entry.observe(lambda change: self.add(change["new"]), "value")
        button = widgets.Button(
            description="Add",
            tooltip="Add the model",
            layout=widgets.Layout(width="auto", min_width="max-content"),
        )
        button.on_click(lambda _: self.add(self._entry.value))
        for name in default:
            self._keep(name)
        return widgets.VBox([widgets.HBox([self._entry, button]), self._tags])

    def add(self, name: str) -> None:
        """Make a tag of a name, or of each where commas or blanks part several."""
        names = [name] if _exists(name) else name.replace(",", " ").split()
        if names:
            for each in names:
                self._keep(each)
            self._entry.value = ""
            self._changed()

    def _keep(self, name: str) -> None:
        if name and name not in self._names:
            self._names.append(name)
            self._show()

    def _remove(self, name: str) -> None:
        self._names.remove(name)
        self._show()
        self._changed()

    def _show(self) -> None:
        tags = []
        for name in self._names:
            tag = widgets.Button(
                description=f"{name} ×",
                tooltip=f"Remove {name}",
                layout=widgets.Layout(width="auto"),
            )
            tag.on_click(lambda _, name=name: self._remove(name))
            tags.append(tag)
        self._tags.children = tags


def _exists(name: str) -> bool:
    """Whether there is a file or folder of this name, which may have blanks."""
    try:
        return bool(name) and Path(name).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, nobody's home
        return False


def make_field(name: str, default: Any, changed: Changed) -> Field:
    """The widget that suits an argument."""
    if name == "models":
        return ModelsField(name, default, changed)
    if name == "frameworks":
        return ChoicesField(name, default, changed, backend_names())
    info: FieldInfo = BenchmarkArguments.model_fields[name]
    kind: Any = info.annotation
    if kind is bool:
        return BoolField(name, default, changed)
    several = get_origin(kind) is list
    inner = get_args(kind)[0] if several else kind
    inner = getattr(inner, "__origin__", inner) if hasattr(inner, "__metadata__") else inner
    choices = get_args(inner) if "Literal" in str(get_origin(inner)) else ()
    if choices:
        return (ChoicesField if several else ChoiceField)(name, default, changed, choices)
    return TextField(name, default, changed, several=several)
