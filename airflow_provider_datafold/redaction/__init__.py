"""Everything about secrets: their names, and how to keep them out of logs, errors and XCom."""
