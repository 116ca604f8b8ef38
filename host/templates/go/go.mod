module example.com/{{name}}

go 1.27

require bulkhead v0.0.0

replace bulkhead => ./bulkhead
