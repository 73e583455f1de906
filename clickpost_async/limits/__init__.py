"""When a call may leave: the pace of a client, and the holds that a 429 asks for."""

from clickpost_async.limits.adaptive import AdaptiveLimiter as AdaptiveLimiter
from clickpost_async.limits.token_bucket import Limiter as Limiter
from clickpost_async.limits.token_bucket import NoRateLimit as NoRateLimit
from clickpost_async.limits.token_bucket import TokenBucket as TokenBucket
