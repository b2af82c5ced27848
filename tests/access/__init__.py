"""Who may do what: one table, and a walk along every route, tool and command with every key."""
