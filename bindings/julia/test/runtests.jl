# Every element type under every metric that measures it, one vector and many, against distances computed here; the rest
# of the interface once. The package is tested with: julia --project=bindings/julia -e 'using Pkg; Pkg.test()'

using Rhumb
using SparseArrays
using Test

const L = Rhumb.LibRhumb
const dim = 12
const count = 200

# Values that every metric and type allows: small whole numbers, or shares with the sum 1.
function column(::Type{T}, metric, i) where {T}
    T === Bool && return [hash((i, j)) % 2 == 0 for j in 1:dim]
    numbers = [Float64(hash((i, j)) % 20) + 1 for j in 1:dim]
    return T.(metric in (:hellinger, :jeffreys, :jensen_shannon) ? numbers ./ sum(numbers) : numbers)
end

function expected(metric, a, b)
    a, b = Float64.(a), Float64.(b)
    metric === :l2sq && return sum((a .- b) .^ 2)
    metric === :l2 && return sqrt(sum((a .- b) .^ 2))
    metric === :l1 && return sum(abs.(a .- b))
    metric === :ip && return 1 - sum(a .* b)
    metric === :cosine && return 1 - sum(a .* b) / sqrt(sum(a .^ 2) * sum(b .^ 2))
    metric === :hamming && return sum(a .!= b) / length(a)
    metric === :jaccard && return 1 - sum(min.(a, b)) / sum(max.(a, b))
    metric === :hellinger && return sqrt(sum((sqrt.(a) .- sqrt.(b)) .^ 2) / 2)
    metric === :jeffreys && return sum((a .- b) .* log.(a ./ b))
    m = (a .+ b) ./ 2
    return sqrt(sum(a .* log.(a ./ m) .+ b .* log.(b ./ m)) / 2) # jensen_shannon
end

folder = mktempdir()
path(name) = joinpath(folder, name * ".rhumb")

@testset "every type and metric" begin
    for (metric, _) in L.rhumb_metric_texts, T in values(Rhumb.element_types)
        (metric in (:custom, :levenshtein) || !Rhumb.supports(metric, T)) && continue
        @testset "$metric of $T" begin
            columns = [column(T, metric, i) for i in 1:count]
            Rhumb.create(path("$metric-$T"), dim, T; metric = metric) do index
                @test insert!(index, columns[1], 0) == 0
                @test insert!(index, reduce(hcat, columns[2:end])) == 1:(count - 1)
                @test length(index) == count
                @test index[3] == columns[4]
                _, distances = Rhumb.search(index, columns[5], 10; exact = true)
                truth = sort([expected(metric, columns[5], c) for c in columns])[1:10]
                @test distances ≈ truth rtol = 1e-3 atol = 1e-3
                many, lengths, counts = Rhumb.search(index, columns[1:6], 10; ef_search = count)
                @test size(many) == (10, 6) && all(==(10), counts)
                @test lengths[:, 5] ≈ truth rtol = 1e-2 atol = 1e-2
            end
        end
    end
end

@testset "sequences" begin
    Rhumb.create(path("words"), 16, UInt8; metric = :levenshtein) do index
        insert!(index, ["kitten", "sitting", "mitten"])
        keys, distances = Rhumb.search(index, "bitten", 2)
        @test Set(keys) == Set([0, 2]) && distances == [1, 1]
        @test String(index[1]) == "sitting"
    end
end

@testset "an index and its life" begin
    vectors = rand(Float32, dim, count)
    index = Rhumb.create(path("life"), dim; metric = :l2, M = 8, durability = :interval)
    insert!(index, vectors; portion = 50)
    @test Rhumb.options(index).M == 8 && Rhumb.stats(index).durability === :interval
    @test_throws RhumbError insert!(index, vectors[:, 1], 0)
    @test_throws DimensionMismatch insert!(index, vectors[1:3, 1], 1000)
    @test_throws ArgumentError Rhumb.create(path("wrong"), dim; nonsense = 1)
    Rhumb.upsert!(index, vectors[:, 2], 0)
    @test Rhumb.upsert!(index, vectors[:, 1:2], [0, 500]).inserted_count == 1
    delete!(index, 500)
    @test delete!(index, [7, 8, 9999]).missing_count == 1
    @test !haskey(index, 7) && haskey(index, 6)
    @test_throws KeyError index[7]
    @test get(index, 7, nothing) === nothing
    Rhumb.metadata!(index, "model")
    @test String(Rhumb.metadata(index)) == "model"
    Rhumb.open(path("life"); read_only = true) do reader
        delete!(index, 11)
        @test haskey(reader, 11)
        Rhumb.checkpoint(index)
        @test Rhumb.wait_epoch(reader; timeout_ms = 5000) > 0 && Rhumb.refresh!(reader) && !haskey(reader, 11)
        @test_throws RhumbError insert!(reader, vectors[:, 1], 2000)
    end
    @test Rhumb.compact!(index).dropped_count > 0
    @test Rhumb.verify(index).structure_error_count == 0
    close(index)
    close(index)
    @test !isopen(index)
    @test_throws ArgumentError length(index)
    @test Rhumb.info(path("life")).count == count - 3
    @test Rhumb.compact_into(path("life"), path("half"); filter = 0:99).count == 97
    @test Rhumb.repair(path("life"), path("repaired")).lost_count == 0
    Rhumb.open(index -> Rhumb.export_index(index, path("life") * ".bin"), path("life"))
    @test Rhumb.import_index(path("life") * ".bin", path("again"); format = :hnswlib, metric = :l2).count == count - 3
end

@testset "filters, radius, one after the other" begin
    vectors = rand(Float32, dim, count)
    Rhumb.create(path("filters"), dim) do index
        insert!(index, vectors)
        even = Filter(0:2:(count - 1))
        @test all(iseven, Rhumb.search(index, vectors[:, 1], 20; filter = even)[1])
        @test all(isodd, Rhumb.search(index, vectors[:, 1], 20; filter = !even)[1])
        @test all(<(10), Rhumb.search(index, vectors[:, 1], 20; filter = trues(10))[1])
        keys, distances = Rhumb.search_radius(index, vectors[:, 1], 1.0)
        @test keys[1] == 0 && all(<=(1), distances)
        @test !(3 in Rhumb.search_like(index, 3, 5)[1])
        @test first(first(Rhumb.nearest(index, vectors[:, 9]))) == 8
        @test length(collect(Rhumb.nearest(index, vectors[:, 9]))) == count
    end
end

@testset "the graph" begin
    Rhumb.create(path("graph"), dim) do index
        insert!(index, rand(Float32, dim, count))
        near, distances = Rhumb.neighbours(index, 5)
        @test issorted(distances) && !isempty(near)
        @test Rhumb.export_topology(index, path("topology")).point_count == count
        Topology(path("topology")) do topology
            Rhumb.verify(topology)
            @test keys(topology) == 0:(count - 1)
            @test Rhumb.neighbours(topology, 5) == (near, distances)
            matrix = Rhumb.graph(topology)
            @test matrix isa SparseMatrixCSC && size(matrix) == (count, count)
            @test sort(nonzeros(matrix[:, 6])) == distances
            @test Rhumb.level(topology, 5) == Rhumb.level(index, 5)
        end
    end
    Rhumb.open(path("graph"); graph_only = true) do index
        near, distances = Rhumb.neighbours(index, 5)
        @test !isempty(near) && isempty(distances)
        @test_throws RhumbError Rhumb.search(index, rand(Float32, dim), 1)
        @test sort(keys(index)) == 0:(count - 1)
    end
end

@testset "a metric in Julia" begin
    furthest = Distance((a, b) -> maximum(abs.(a .- b)), Float32)
    setting = (custom_name = "chebyshev", custom_distance = furthest)
    vectors = rand(Float32, dim, 50)
    index = Rhumb.create(path("custom"), dim; metric = :custom, setting...)
    insert!(index, vectors; threads = 1)
    keys, distances = Rhumb.search(index, vectors[:, 3], 1)
    @test keys == [2] && distances == [0]
    close(index)
    @test_throws RhumbError Rhumb.open(path("custom"))
    close(Rhumb.open(path("custom"); read_only = true, setting...))
end
