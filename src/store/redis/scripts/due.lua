-- The list of what is due holds whole milliseconds. This much more marks the end of a claim: what becomes due in
-- the meantime takes the mark away, and the release of the claim then changes nothing.
local CLAIMED = 0.5
