"""Groups of commands."""

from __future__ import annotations

import click


class CommandGroup(click.Group):
    """A group that names the place of an option that was given before its command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name
            if not any(name in each.opts for each in _parameters(self)):
                raise
            usage = f"{ctx.command_path} COMMAND … {name} …"
            message = f"{name} belongs behind the command: {usage}"
            raise click.UsageError(message, ctx) from error


def _parameters(group: click.Group) -> list[click.Parameter]:
    """Return the parameters of all commands in the group and in its groups."""
    parameters: list[click.Parameter] = []
    for command in group.commands.values():
        parameters += command.params
        if isinstance(command, click.Group):
            parameters += _parameters(command)
    return parameters
