"""The verb ``completion``: what a shell has to know of the command, from its parser."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from .output import print_lines
from .session import Session

__all__ = ["COMPLETION", "Verb", "add_completion", "verbs_of"]

COMPLETION = """Print what a shell needs to complete the command line: eval "$(gnet completion
bash)" in .bashrc, eval "$(gnet completion zsh)" in .zshrc behind compinit, or
gnet completion fish | source in fish's config.fish."""


class Verb(NamedTuple):
    """One of the command's verbs.

    :ivar help: what it does, in some words.
    """

    name: str
    help: str
    parser: argparse.ArgumentParser

    @property
    def options(self) -> list[argparse.Action]:
        return [each for each in actions_of(self.parser) if each.option_strings]

    @property
    def choices(self) -> list[str]:
        """What its arguments may be, as far as there is a list of that."""
        places = (each for each in actions_of(self.parser) if not each.option_strings)
        return [str(choice) for each in places for choice in each.choices or ()]


def actions_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and arguments of a parser, in their order."""
    return list(parser._actions)


def verbs_of(parser: argparse.ArgumentParser) -> list[Verb]:
    """The verbs of the command's parser."""
    [commands] = (
        each for each in actions_of(parser) if isinstance(each, argparse._SubParsersAction)
    )
    helps = {each.dest: each.help or "" for each in commands._choices_actions}
    return [Verb(name, helps[name], verb) for name, verb in commands.choices.items()]


def help_of(action: argparse.Action) -> str:
    """An option's help, with its default in it."""
    return (action.help or "").replace("%(default)g", f"{action.default}".removesuffix(".0"))


def _bash(verbs: list[Verb]) -> Iterator[str]:
    words = " ".join(each.name for each in verbs)
    yield "_gnet() {"
    yield '    local word=${COMP_WORDS[COMP_CWORD]} words="" verb="" each'
    yield '    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield "        [[ $each != -* ]] && { verb=$each; break; }"
    yield "    done"
    yield "    case $verb in"
    yield f'    "") words="{words} --help --version --verbose" ;;'
    for verb in verbs:
        flags = (option for each in verb.options for option in each.option_strings)
        yield f'    {verb.name}) words="{" ".join((*flags, *verb.choices))}" ;;'
    yield "    esac"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield "}"
    # Elsewhere names of files are completed.
    yield "complete -o bashdefault -o default -F _gnet gnet"


def _zsh(verbs: list[Verb]) -> Iterator[str]:
    yield "#compdef gnet"
    yield "_gnet() {"
    yield "    local -a verbs"
    described = " ".join(shlex.quote(f"{each.name}:{each.help}") for each in verbs)
    yield f"    verbs=({described})"
    yield "    if ((CURRENT == 2)); then"
    yield "        _describe command verbs"
    yield "        return"
    yield "    fi"
    yield "    local verb=$words[2]"
    yield "    shift words; ((CURRENT--))"
    yield "    case $verb in"
    for verb in verbs:
        specs = (shlex.quote(each) for action in verb.options for each in _zsh_specs(action))
        rest = f"*:argument:({' '.join(verb.choices)})" if verb.choices else "*:argument:_files"
        yield f"    {verb.name}) _arguments {' '.join(specs)} {shlex.quote(rest)} ;;"
    yield "    esac"
    yield "}"
    # Either a file of $fpath, which is run to complete, or evaluated.
    yield "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then"
    yield '    _gnet "$@"'
    yield "else"
    yield "    compdef _gnet gnet"
    yield "fi"


def _zsh_specs(action: argparse.Action) -> Iterator[str]:
    text = help_of(action).translate({ord(each): f"\\{each}" for each in "[]:\\"})
    value = f":{_value(action)}:" if action.nargs != 0 else ""
    for option in action.option_strings:
        yield f"*{option}[{text}]{value}"


def _fish(verbs: list[Verb]) -> Iterator[str]:
    start = "complete -c gnet -n __fish_use_subcommand"
    yield "complete -c gnet -f"
    for verb in verbs:
        yield f"{start} -a {verb.name} -d {_fish_quote(verb.help)}"
        inside = f"complete -c gnet -n '__fish_seen_subcommand_from {verb.name}'"
        for action in verb.options:
            flags = " ".join(
                f"-l {each[2:]}" if each.startswith("--") else f"-s {each[1:]}"
                for each in action.option_strings
            )
            value = " -x" if action.nargs != 0 else ""
            yield f"{inside} {flags}{value} -d {_fish_quote(help_of(action))}"
        if verb.choices:
            yield f"{inside} -a {_fish_quote(' '.join(verb.choices))}"


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _value(action: argparse.Action) -> str:
    return str(action.metavar or action.dest)


SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def add_completion(parser: argparse.ArgumentParser, command: argparse.ArgumentParser) -> None:
    """:param command: the whole command's parser, which is asked when all verbs are there."""

    def completion(session: Session, options: argparse.Namespace) -> None:
        print_lines(SHELLS[options.shell](verbs_of(command)))

    parser.add_argument("shell", choices=SHELLS, help="whose", metavar="SHELL")
    parser.set_defaults(run=completion)
