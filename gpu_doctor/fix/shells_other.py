"""Shell code that changes variables, remembers what they were, and restores that: csh and PowerShell."""

from __future__ import annotations

from collections.abc import Sequence

from gpu_doctor.fix.shells import Change, Names, paths
from gpu_doctor.model import quoting

# Without quotes and without `$`: it stands between csh's quotes. Its arguments: the variable, the one that lists what
# goes, and a colon.
_AWK = (
    "BEGIN { n = split(ENVIRON[ARGV[2]], g, /:/); for (i = 1; i <= n; i++) gone[g[i]] = 1; "
    "m = split(ENVIRON[ARGV[1]], p, /:/); for (i = 1; i <= m; i++) { q = p[i]; "
    "while (length(q) > 1 && substr(q, length(q)) ~ /\\//) q = substr(q, 1, length(q) - 1); "
    "if (q in gone) continue; out = out (k++ ? ARGV[3] : none) p[i] } print out }"
)


def csh(changes: Sequence[Change], names: Names) -> list[str]:
    """Write the changes for csh and tcsh, whose aliases are one line and whose functions are aliases."""
    own, undo = names.own, []
    for change in changes:
        name, old, none = change.name, f"{own}_old_{change.name}", f"{own}_none_{change.name}"
        undo.append(f'test $?{old} != 0 && setenv {name} "${old}:q" && unset {old}')
        undo.append(f"test $?{none} != 0 && unsetenv {name} && unset {none}")
    lines = [*csh_restore(names), f"alias {own}_restore '{'; '.join(undo)}; unset {own}_on'", f"set {own}_on"]
    for change in changes:
        lines += _csh_one(change, names)
    return lines


def _csh_one(change: Change, names: Names) -> list[str]:
    name, own = change.name, names.own
    lines = [f"if ($?{name}) then", f'    set {own}_old_{name} = "${name}:q"', "else", f"    set {own}_none_{name}"]
    lines.append("endif")
    if change.value is not None:
        return [*lines, f"setenv {name} {quoting.csh(change.value)}"]
    if not (change.prepend or change.remove):
        return [*lines, f"unsetenv {name}"]
    first, gone = (
        ":".join(paths(folders, f'"${{{names.home}}}"', quoting.csh)) for folders in (change.prepend, change.remove)
    )
    lines.append(f"if (! $?{name}) setenv {name} ''")
    if gone:
        lines.append(f"setenv {own}_gone {gone}")
        lines.append(f"setenv {name} \"`awk '{_AWK}' {name} {own}_gone :`\"")
        lines.append(f"unsetenv {own}_gone")
    lines.append(f'if ("${name}:q" == "") then')
    lines.append(f"    setenv {name} {first}" if first else f"    unsetenv {name}")
    if first:
        lines += ["else", f'    setenv {name} {first}":${name}:q"']
    return [*lines, "endif"]


def csh_hook(names: Names) -> list[str]:
    """Write what has `deactivate` restore first."""
    own = names.own
    return [
        f'alias {own}_deactivate "`alias deactivate`"',
        f"alias deactivate '{own}_restore; {own}_deactivate \\!:*'",
    ]


def csh_restore(names: Names) -> list[str]:
    """Write what restores the variables where they are changed."""
    return [f"if ($?{names.own}_on) then", f"    {names.own}_restore", "endif"]


def powershell(changes: Sequence[Change], names: Names) -> list[str]:
    """Write the changes for PowerShell."""
    own, lines = names.own, [*powershell_restore(names), f"function global:{names.own}_restore {{"]
    for change in changes:
        name, old = change.name, f"{own}_old_{change.name}"
        lines += [
            f"    if ($null -eq $global:{old}) {{ Remove-Item Env:{name} -ErrorAction SilentlyContinue }}",
            f"    else {{ $env:{name} = $global:{old} }}",
            f"    Remove-Variable -Name {old} -Scope Global -ErrorAction SilentlyContinue",
        ]
    lines += [f"    Remove-Item Function:{own}_restore", "}"]
    for change in changes:
        lines += _powershell_one(change, names)
    return lines


def _powershell_one(change: Change, names: Names) -> list[str]:
    name, own = change.name, names.own
    lines = [f"$global:{own}_old_{name} = $env:{name}"]
    if change.value is not None:
        return [*lines, f"$env:{name} = {quoting.powershell(change.value)}"]
    unset = f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
    if not (change.prepend or change.remove):
        return [*lines, unset]
    first, gone = (
        ", ".join(f"({word})" for word in paths(folders, f"$env:{names.home}", quoting.powershell, " + "))
        for folders in (change.prepend, (*change.prepend, *change.remove))
    )
    kept = f"$_ -ne '' -and ${own}_gone -cnotcontains ($_ -replace '(?<=.)/+$', '')"
    return [
        *lines,
        f"${own}_gone = @({gone})",
        f"${own}_value = @({first}) + @(\"$env:{name}\" -split ':' | Where-Object {{ {kept} }})",
        f"if (${own}_value.Count) {{ $env:{name} = ${own}_value -join ':' }}",
        f"else {{ {unset} }}",
    ]


def powershell_hook(names: Names) -> list[str]:
    """Write what has `deactivate` restore first."""
    own = names.own
    return [
        f"$global:{own}_deactivate = $function:deactivate",
        "function global:deactivate ([switch] $NonDestructive) {",
        *(f"    {line}" for line in powershell_restore(names)),
        f"    & $global:{own}_deactivate -NonDestructive:$NonDestructive",
        f"    if (-not $NonDestructive) {{ Remove-Variable -Name {own}_deactivate -Scope Global }}",
        "}",
    ]


def powershell_restore(names: Names) -> list[str]:
    """Write what restores the variables where they are changed."""
    return [f"if (Test-Path Function:{names.own}_restore) {{ {names.own}_restore }}"]
