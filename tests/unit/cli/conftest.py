import json

import pytest

from syncer.cli.main import main


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """An empty home and working directory: no file of the machine takes part."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def problem(self):
        return json.loads(self.err)["error"]


@pytest.fixture
def syncer(capsys):
    """Run a command in this process; exit code, stdout, stderr."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run
