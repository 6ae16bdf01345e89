select 1 as note_id, 'changes with each run' as note
