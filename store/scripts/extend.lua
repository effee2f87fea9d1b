-- Gives 1 if the fit lives for its full time again.
local expires = now + policy.result_ttl
if field('status') ~= 'succeeded' or expires - tonumber(field('expires_at')) < policy.extend_interval then
  return 0
end
live_until(expires)
return 1
