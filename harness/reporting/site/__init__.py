"""Static sites that open from disk: the report of a plan, and the leaderboard.

Templates, one style sheet and one script lie here, and are copied next to the pages.
"""
