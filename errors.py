"""The one exception that is meant for users."""


class EdgeError(Exception):
    """Something in the user's input, model, bundle or machine is not as it must be.

    The message is one sentence that says what was found, where (node, op, file), what is accepted and
    what to do next. The command line prints it without a traceback and exits with code 2.
    """
