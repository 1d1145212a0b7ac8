"""Has reader take the feedparser that is installed; to be imported before reader parses.

reader carries a copy of feedparser that wants a module which feedparser itself has replaced (sgmllib3k). The variable
is reader's own.
"""

import os

os.environ.setdefault("READER_NO_VENDORED_FEEDPARSER", "1")
