local status = field('status')
if status == 'queued' then
  conclude('cancelled', policy.unsuccessful_ttl)
elseif status == 'running' then
  turn('cancelling')
end
