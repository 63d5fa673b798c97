"""The command line in this process: for what is refused before it would start anything."""

import sys

import pytest
from support.command import TOKEN, Ended
from support.garbage import leave_out_again

from cxai.cli.main import main


def cxai_here(capsys, *arguments, **environment):
    """Run `cxai` in this process; a user who has set a token, and `environment` besides."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXAI_API_TOKEN", TOKEN)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["cxai", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    leave_out_again()
    out, err = capsys.readouterr()
    return Ended(ended.value.code, out, err)
