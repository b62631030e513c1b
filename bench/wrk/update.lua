local common = require("common")
local headers = common.headers("application/merge-patch+json")
-- Updates each row once, with its version; `bench` writes the file before every run.
local rows, at = {}, 0
for line in io.lines((os.getenv("BENCH_IDS"):gsub("ids.txt", "versions.txt"))) do rows[#rows + 1] = line end
request = function()
  at = at + 1
  local id, version = rows[at % #rows + 1]:match("(%S+) (%S+)")
  headers["If-Match"] = '"' .. version .. '-0000000000000000"'
  return wrk.format("PATCH", "/institutions/" .. id, headers, '{"name":"Institution ' .. at .. '"}')
end
done = common.done
