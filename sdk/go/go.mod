module bulkhead

go 1.27
