//! Incidents: from a finding or a hit to a plan, its execution, and the way back.
