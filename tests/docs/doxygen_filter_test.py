"""Goal: tools/doxygen_filter.py turns the comments of the headers into Doxygen's, and loses nothing of them.

Method: a small header is compared with what it must become; of the real ones every word must be in the result.
"""

import glob
import os
import re
import unittest

import c_text
import doxygen_filter

HEADER = """/* rhumb_x.h - things. Part of the manual. */
#ifndef X
/* ---- making things ---- */

#define LIMIT 3 /* largest thing */

/* What a thing is. */
typedef struct thing {
    int size; /* Its size,
                 in bytes. */
} thing;

/* Makes a thing.
 *
 * Parameters:
 *   a    first
 *          and more
 *
 * Errors: nothing is made.
 *   E_ONE           one
 *   E_TWO, E_TEN    two
 *   and those of break
 */
int make(int a);

#ifdef __cplusplus
}
#endif
#endif /* X */
"""

EXPECTED = """/** @file
things. Part of the manual.

*/
#ifndef X
/** @name Making things
@{ */

#define LIMIT 3 /**< largest thing */

/**
What a thing is.

*/
typedef struct thing {
    int size; /**< Its size, in bytes. */
} thing;

/**
Makes a thing.

@param a first and more

Nothing is made.

@retval E_ONE one
@retval E_TWO two
@retval E_TEN two

And those of break.


*/
int make(int a);

/** @} */
#ifdef __cplusplus
}
#endif
#endif /* X */
"""


class DoxygenFilter(unittest.TestCase):
    def test_a_small_header(self):
        self.maxDiff = None
        self.assertEqual(doxygen_filter.Filter("rhumb_x.h").run(HEADER), EXPECTED)

    def test_no_word_of_the_headers_is_lost(self):
        headers = glob.glob("include/*.h")
        self.assertGreater(len(headers), 5)
        for path in headers:
            text = c_text.read_text(os.getcwd(), path)
            filtered = doxygen_filter.Filter(os.path.basename(path)).run(text)
            words = set(re.findall(r"\w+", text.lower())) - set(re.findall(r"\w+", filtered.lower()))
            self.assertLessEqual(words, {"parameters", "errors", os.path.basename(path)[:-2]}, path)
            self.assertEqual(c_text.blank(text).split(), c_text.blank(filtered).split(), path)


if __name__ == "__main__":
    unittest.main()
