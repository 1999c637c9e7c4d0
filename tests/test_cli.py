import sys

import pytest

from emodistill import cli


def test_help_names_every_command(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)


def test_an_unknown_command_is_one_sentence(capsys):
    assert cli.main(["no-such-thing"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "no-such-thing" in err and "annotate" in err


@pytest.mark.parametrize(("module", "extra"), [("accelerate", "[train]"), ("openai", "[annotate]"), ("torch", None)])
def test_a_missing_module_names_the_extra_that_has_it(capsys, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(cli.COMMANDS, "needy", (module, "main", ""))
    assert cli.main(["needy"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and module in err
    assert f"'emodistill{extra}'" in err if extra else "pip" not in err
