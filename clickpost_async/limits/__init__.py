"""Rate limiters: token bucket, adaptive, and shared through Redis."""

from clickpost_async.limits.adaptive import AdaptiveLimiter as AdaptiveLimiter
from clickpost_async.limits.token_bucket import Limiter as Limiter
from clickpost_async.limits.token_bucket import NoRateLimit as NoRateLimit
from clickpost_async.limits.token_bucket import TokenBucket as TokenBucket
