"""A program that dies of an answer of Meta's; the SDK reports that by itself. Run by connection.py."""

from facebook_business.adobjects.campaign import Campaign

import sandbox

sandbox.connect(crash_log=True)
Campaign("1").api_get(fields=["name"])
