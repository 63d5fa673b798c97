"""The garbage collector in a process that runs thousands of tests.

A command in this process makes several full collections, and Python itself now and then one. Each
would look at all that was imported and at every test: a tenth of a second, of which nothing comes.
"""

import gc


def leave_out_what_is_there():
    """Collect garbage, and never look again at what is left: it is there to stay."""
    gc.collect()
    gc.freeze()


def leave_out_again():
    """Do so behind a run in this process, which has lifted it at its end."""
    gc.collect(1)  # what the run itself has left
    gc.freeze()
