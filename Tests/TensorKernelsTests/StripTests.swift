import Foundation
import ReferenceKernels
import Synchronization
import TensorKernels
import Testing

/// What a picture's layers compute strip by strip has the bits of the whole.
@Suite struct StripTests {
    /// Sizes of a picture and numbers of strips: even ones, uneven ones, a row a strip, and more strips than rows, which
    /// share them all then.
    static let cuts: [(height: Int, width: Int, strips: Int)] = [
        (12, 11, 1), (12, 11, 2), (12, 6, 4), (13, 7, 3), (7, 5, 5), (9, 130, 2), (3, 8, 8), (17, 1, 2), (31, 12, 8),
        (21, 18, 4),
    ]

    private func picture(_ height: Int, _ width: Int, _ channels: Int, seed: UInt64) -> DoubleTensor {
        DoubleTensor(normal: [height, width, channels], seed: seed, mean: 0.3)
    }

    /// Compares strips with the whole, whether all rows are shared or each strip has its own.
    private func expectSame(_ strips: [Tensor], _ whole: Tensor, _ what: Comment) {
        let bits = whole.floats.map(\.bitPattern)
        if strips.allSatisfy({ $0.shape == whole.shape }) {
            for strip in strips { #expect(strip.floats.map(\.bitPattern) == bits, what) }
        } else {
            #expect(strips.flatMap(\.floats).map(\.bitPattern) == bits, what)
            #expect(strips.reduce(0) { $0 + $1.shape[0] } == whole.shape[0], what)
        }
    }

    private func grid(_ cut: (height: Int, width: Int, strips: Int)) -> StripGrid {
        StripGrid(height: cut.height, width: cut.width, halvings: 2, strips: cut.strips)
    }

    /// Strips follow each other at every level, and a coarser level's borders are the finer one's, halved.
    @Test func grids() {
        for height in 1...40 {
            for strips in 1...9 {
                let grid = StripGrid(height: height, width: 64, halvings: 3, strips: strips)
                var (h, above): (Int, StripCut?) = (height, nil)
                for width in [64, 32, 16, 8] {
                    let cut = grid.cut(width: width, rows: h)
                    #expect(cut.height == h && cut.rows.count == strips)
                    if cut.isShared {
                        #expect(cut.rows.allSatisfy { $0 == 0..<h })
                        #expect(strips == 1 || h < strips || above != nil)
                    } else {
                        #expect(cut.rows.map(\.lowerBound) == [0] + cut.rows.dropLast().map(\.upperBound))
                        #expect(cut.rows.last?.upperBound == h && cut.rows.allSatisfy { !$0.isEmpty })
                        if let above {
                            #expect(
                                !above.isShared
                                    && cut.rows.map(\.lowerBound) == above.rows.map { ($0.lowerBound + 1) / 2 })
                        }
                    }
                    (h, above) = ((h + 1) / 2, cut)
                }
            }
        }
        // Of 64 rows, all levels are cut in 8.
        let grid = StripGrid(height: 64, width: 64, halvings: 3, strips: 8)
        #expect([64, 32, 16, 8].allSatisfy { !grid.cut(width: $0, rows: 1).isShared })
    }

    /// Rows of one width are told from those of another; at a width of 1 nothing is cut.
    @Test func levelsOfOneWidth() {
        let grid = StripGrid(height: 40, width: 2, halvings: 3, strips: 2)
        #expect(!grid.cut(width: 2, rows: 20).isShared)
        #expect(grid.cut(width: 1, rows: 20) == StripCut(shared: 20, strips: 2))
        #expect(grid.cut(width: 1, rows: 10) == StripCut(shared: 10, strips: 2))
    }

    @Test(arguments: cuts)
    func groupNorm(cut: (height: Int, width: Int, strips: Int)) throws {
        let (x, dy) = (picture(cut.height, cut.width, 24, seed: 1), picture(cut.height, cut.width, 24, seed: 2))
        let weight = DoubleTensor(normal: [24], seed: 3).floats
        let bias = DoubleTensor(normal: [24], seed: 4).floats
        let norm = GroupNormalization(groups: 4, epsilon: 1e-5, silu: true)
        for type in ElementType.allCases {
            let whole = try ComputeContext(threads: 2, elementType: type, backend: .openBLAS, grain: 1)
            let (y, statistics) = try norm.forward(x.tensor(in: whole), weight: weight, bias: bias, in: whole)
            let dx = try norm.gradient(
                x.tensor(in: whole), dy.tensor(in: whole), weight: weight, statistics: statistics, in: whole)
            let make = { @Sendable in try ComputeContext(threads: 1, elementType: type, backend: .openBLAS) }
            let both = try StripsOnThreads(grid(cut))(context: make) { context in
                let part = context.ownRows(of: x.tensor(in: context))
                let (y, statistics) = try norm.forward(part, weight: weight, bias: bias, in: context)
                let dx = try norm.gradient(
                    part, context.ownRows(of: dy.tensor(in: context)), weight: weight, statistics: statistics,
                    in: context)
                return [y, dx]
            }
            expectSame(both.map { $0[0] }, y, "value, \(type)")
            expectSame(both.map { $0[1] }, dx, "gradient, \(type)")
        }
    }

    /// A convolution of kernel 3: each strip takes its neighbours' rows in place of the zeros. Of these pictures some are
    /// computed by Winograd, in tiles of either size, which reach across the borders of strips.
    @Test(
        arguments: cuts,
        [(1, 1, ElementType.float32), (2, 1, .float32), (2, 0, .float32), (1, 1, .bfloat16), (2, 1, .bfloat16)])
    func convolution(
        cut: (height: Int, width: Int, strips: Int), kind: (stride: Int, before: Int, type: ElementType)
    ) throws {
        try convolution(cut, kind, inputs: 48, outputs: 32)
    }

    /// Pictures of few rows and many channels: of these oneDNN sums the channels in another order for another number of
    /// rows.
    @Test(
        arguments: [(4, 4, 2), (3, 3, 3), (4, 3, 4), (2, 2, 2)] as [(height: Int, width: Int, strips: Int)],
        [(1, 640), (2, 640), (1, 1280)])
    func convolutionOfFewRows(
        result: (height: Int, width: Int, strips: Int), layer: (stride: Int, inputs: Int)
    ) throws {
        let cut = (layer.stride * result.height, layer.stride * result.width, result.strips)
        for type in ElementType.allCases {
            try convolution(cut, (layer.stride, 1, type), inputs: layer.inputs, outputs: 640)
        }
    }

    private func convolution(
        _ cut: (height: Int, width: Int, strips: Int), _ kind: (stride: Int, before: Int, type: ElementType),
        inputs: Int, outputs: Int
    ) throws {
        let whole = try ComputeContext(threads: 2, grain: 1).with(elementType: kind.type)
        // An asymmetric one is an autoencoder's, whose sides are even.
        guard whole.backend.computes(in: kind.type), kind.before == 1 || cut.height % 2 + cut.width % 2 == 0 else {
            return
        }
        let stored = StoredTensor(
            name: "w", shape: [outputs, inputs, 3, 3],
            values: DoubleTensor(normal: [outputs, inputs, 3, 3], seed: 1, deviation: 0.1).floats)
        let geometry = ConvolutionGeometry(
            inputs: inputs, outputs: outputs, kernel: 3, stride: kind.stride, before: kind.before, after: 1)
        let x = picture(cut.height, cut.width, inputs, seed: 2)
        let slope = DoubleTensor(
            normal: [geometry.outputHeight(of: cut.height), geometry.outputWidth(of: cut.width), outputs], seed: 3)
        @Sendable func run(_ context: ComputeContext) throws -> [Tensor] {
            let convolution = PreparedConvolution(geometry, weight: Weight(stored))
            let part = context.ownRows(of: x.tensor(in: context))
            let window = StripWindow(geometry, of: part, in: context)
            let input = try window.input(part, in: context)
            let y = try convolution.forward(input, through: window, bias: nil, as: .float32, in: context)
            let dy = context.ownRows(of: slope.tensor(in: context))
            var sum = context.ownRows(of: slope.tensor(in: context.with(elementType: .float32))).draft(in: context)
            try convolution.forward(input, through: window, bias: nil, addingTo: &sum, in: context)
            let back = StripGradientWindow(geometry, height: cut.height, width: cut.width, of: dy, in: context)
            let dx = try convolution.gradient(
                back.input(dy, in: context), through: back, as: .float32, in: context)
            return [y, sum.finished(), dx]
        }
        let expected = try run(whole)
        let make = { @Sendable in try ComputeContext(threads: 1, elementType: kind.type) }
        let strips = try StripsOnThreads(grid(cut))(context: make) { try run($0) }
        for (index, what) in ["value", "sum", "gradient"].enumerated() where kind.before == 1 || index < 2 {
            expectSame(strips.map { $0[index] }, expected[index], "\(what)")
        }
    }

    /// To twice the size, and to one less.
    @Test(arguments: [(4, 3, 8, 6), (4, 3, 7, 5), (5, 4, 9, 8), (9, 2, 18, 4), (3, 3, 5, 6)], [1, 2, 3, 5])
    func nearest(sizes: (h: Int, w: Int, height: Int, width: Int), strips: Int) throws {
        let (h, w, height, width) = sizes
        let whole = try ComputeContext(threads: 2, grain: 1)
        let (x, dy) = (picture(h, w, 5, seed: 1), picture(height, width, 5, seed: 2))
        let y = try x.tensor(in: whole).resizedNearest(height: height, width: width, in: whole)
        let dx = try dy.tensor(in: whole).resizedNearestGradient(height: h, width: w, in: whole)
        let grid = StripGrid(height: height, width: width, halvings: 1, strips: strips)
        let both = try StripsOnThreads(grid)(context: { try ComputeContext(threads: 1) }) { context in
            let y = try context.ownRows(of: x.tensor(in: context))
                .resizedNearest(height: height, width: width, in: context)
            let dx = try context.ownRows(of: dy.tensor(in: context))
                .resizedNearestGradient(height: h, width: w, in: context)
            return [y, dx]
        }
        expectSame(both.map { $0[0] }, y, "value")
        expectSame(both.map { $0[1] }, dx, "gradient")
    }

    @Test(arguments: cuts, ElementType.allCases)
    func attention(cut: (height: Int, width: Int, strips: Int), type: ElementType) throws {
        // Heads that are dealt out evenly, and others.
        for heads in [2, 3, 5, 10] { try attention(cut, type, heads: heads) }
    }

    private func attention(_ cut: (height: Int, width: Int, strips: Int), _ type: ElementType, heads: Int) throws {
        let positions = cut.height * cut.width
        let foreground = (0..<positions).map { UInt8($0 % 7 < 3 || $0 % 5 == 2 ? 1 : 0) }
        let masks: [AttentionMask?] = [nil, .backgroundKeys(foreground: foreground)]
        let inputs = (0..<4).map { picture(cut.height, cut.width, 30, seed: UInt64($0 + 1)) }
        let attention = ScaledDotProductAttention(heads: heads)
        let whole = try ComputeContext(threads: 2, elementType: type, backend: .openBLAS, grain: 1)
        let tensors = inputs.map { $0.tensor(in: whole) }
        for mask in masks {
            let (y, saved) = attention.forward(tensors[0], tensors[1], tensors[2], mask: mask, in: whole)
            let (dq, dk, dv) = attention.gradient(
                tensors[3], q: tensors[0], k: tensors[1], v: tensors[2], y: y, saved: saved, mask: mask, in: whole)
            let make = { @Sendable in try ComputeContext(threads: 1, elementType: type, backend: .openBLAS) }
            let all = try StripsOnThreads(grid(cut))(context: make) { context in
                let parts = inputs.map { context.ownRows(of: $0.tensor(in: context)) }
                let arrivals = try context.gathering([parts[1], parts[2]])
                let (y, saved) = try attention.forward(strip: parts[0], arrivals, mask: mask, in: context)
                let queries = try attention.gradientQueries(strip: parts[0], in: context)
                let (dq, dk, dv) = try attention.gradient(
                    strip: parts[3], q: parts[0], queries: queries, k: parts[1], v: parts[2], y: y, saved: saved,
                    mask: mask, in: context)
                return [y, dq, dk, dv]
            }
            for (index, whole) in [y, dq, dk, dv].enumerated() {
                expectSame(all.map { $0[index] }, whole, "\(index) of value and gradients, \(heads) heads, \(type)")
            }
        }
    }

    /// Attention to a prompt: the mask is the whole picture's, the queries are the strip's.
    @Test(arguments: cuts)
    func crossAttention(cut: (height: Int, width: Int, strips: Int)) throws {
        let foreground = (0..<cut.height * cut.width).map { UInt8($0 % 7 < 3 ? 1 : 0) }
        let mask = AttentionMask.firstKeyOnly(foreground: foreground, chunk: 5)
        let (q, dy) = (picture(cut.height, cut.width, 30, seed: 1), picture(cut.height, cut.width, 30, seed: 2))
        let (k, v) = (DoubleTensor(normal: [10, 30], seed: 3), DoubleTensor(normal: [10, 30], seed: 4))
        let attention = ScaledDotProductAttention(heads: 3)
        @Sendable func run(_ q: Tensor, _ dy: Tensor, first: Int, _ context: ComputeContext) -> [Tensor] {
            let (keys, values) = (k.tensor(in: context), v.tensor(in: context))
            let (y, saved) = attention.forward(q, keys, values, mask: mask, firstQuery: first, in: context)
            let dq = attention.queryGradient(
                dy, q: q, k: keys, v: values, y: y, saved: saved, mask: mask, firstQuery: first, in: context)
            return [y, dq]
        }
        let whole = try ComputeContext(threads: 2, grain: 1)
        let expected = run(q.tensor(in: whole), dy.tensor(in: whole), first: 0, whole)
        let strips = try StripsOnThreads(grid(cut))(context: { try ComputeContext(threads: 1) }) { context in
            let part = context.ownRows(of: q.tensor(in: context))
            return run(
                part, context.ownRows(of: dy.tensor(in: context)), first: context.firstPosition(of: part), context)
        }
        for (index, whole) in expected.enumerated() { expectSame(strips.map { $0[index] }, whole, "\(index)") }
    }

    @Test(arguments: cuts)
    func average(cut: (height: Int, width: Int, strips: Int)) throws {
        let whole = try ComputeContext(threads: 2, grain: 1)
        let x = picture(cut.height, cut.width, 6, seed: 1)
        let strips = try StripsOnThreads(grid(cut), delays: true)(context: { try ComputeContext(threads: 1) }) {
            try $0.ownRows(of: x.tensor(in: $0)).averagedOverPositions(in: $0)
        }
        expectSame(strips, try x.tensor(in: whole).averagedOverPositions(in: whole), "mean")
    }

    /// A rank that holds whole pictures asks nobody, and other number formats have the same neighbours.
    @Test func borders() throws {
        let context = try ComputeContext(threads: 1)
        let x = picture(12, 5, 3, seed: 1).tensor(in: context)
        #expect(context.strip(of: x) == Strip(rows: 0..<12, height: 12))
        #expect(try context.gathered(x).floats == x.floats)
        #expect(try context.inRowOrder([1.0, 2.0], of: x) == [1.0, 2.0])
        let grid = StripGrid(height: 12, width: 5, halvings: 0, strips: 3)
        let strips = try StripsOnThreads(grid)(context: { try ComputeContext(threads: 1) }) { context in
            let context = context.with(elementType: .bfloat16).with(elementType: .float32)
            let part = context.ownRows(of: x)
            return try context.rows(of: part) { max(0, 4 * $0 - 6)..<min(12, 4 * $0 + 5) }
        }
        #expect(strips.map { $0.shape[0] } == [5, 9, 10])
        for (strip, rows) in zip(strips, [0..<5, 0..<9, 2..<12]) {
            #expect(strip.floats == x.rows(rows, in: context).floats)
        }
    }
}

/// Bytes between strips through the memory of one machine.
@Suite struct StripMemoryTests {
    /// Strips that give each other more than fits a ring, nothing, and a little, again and again, each at its own pace.
    @Test(arguments: [2, 3, 5])
    func everythingArrives(strips: Int) throws {
        let arena = try SharedArena.create(byteCount: StripMemory.byteCount(members: strips))
        let members = Array(0..<strips)
        let failures = Mutex<[String]>([])
        @Sendable func length(_ round: Int, _ from: Int, _ to: Int) -> Int {
            [0, 1, 100, 5_000, 300_000, 1_500_001][(round * 7 + from * 3 + to) % 6]
        }
        // A thread each: all of them must run at the same time.
        let finished = DispatchSemaphore(value: 0)
        for strip in members {
            Thread.detachNewThread {
                defer { finished.signal() }
                do {
                    let memory = try #require(try StripMemory(in: arena, members: members, own: strip))
                    #expect(memory.others == Set(members).subtracting([strip]))
                    for round in 0..<12 {
                        let others = members.filter { $0 != strip }
                        let outgoing = others.map { other -> (strip: Int, bytes: StripBytes) in
                            let numbers = (0..<length(round, strip, other)).map {
                                UInt8(truncatingIfNeeded: $0 &* 31 &+ strip + round)
                            }
                            return (other, numbers.withUnsafeBytes { StripBytes($0, keeping: numbers) })
                        }
                        let targets = others.map {
                            UnsafeMutableRawBufferPointer.allocate(byteCount: length(round, $0, strip), alignment: 64)
                        }
                        defer { for target in targets { target.deallocate() } }
                        if round % 3 == strip % 3 { usleep(300) }
                        memory.exchange(outgoing, zip(others, targets).map { ($0, $1) })
                        for (other, target) in zip(others, targets) {
                            let isRight = target.enumerated().allSatisfy {
                                $1 == UInt8(truncatingIfNeeded: $0 &* 31 &+ other + round)
                            }
                            if !isRight { failures.withLock { $0.append("round \(round), \(other) to \(strip)") } }
                        }
                    }
                    #expect(memory.awaited == nil)
                } catch { failures.withLock { $0.append("\(error)") } }
            }
        }
        for _ in members { finished.wait() }
        #expect(failures.withLock { $0 } == [])
    }

    /// An arena that is too small gives none, and whoever waits for a strip says so.
    @Test func smallArenasAndLateStrips() throws {
        let small = try SharedArena.create(byteCount: 4096)
        #expect(try StripMemory(in: small, members: [0, 1], own: 0) == nil)
        let arena = try SharedArena.create(byteCount: StripMemory.byteCount(members: 2))
        let memories = try (0..<2).map { try #require(try StripMemory(in: arena, members: [0, 1], own: $0)) }
        let one: [UInt8] = [7]
        let parcel = one.withUnsafeBytes { StripBytes($0, keeping: one) }
        let done = DispatchSemaphore(value: 0)
        let late = memories[0]
        Thread.detachNewThread {
            withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { late.exchange([], [(1, $0)]) }
            done.signal()
        }
        let limit = ContinuousClock.now + .seconds(20)
        while memories[0].awaited != 1, .now < limit { usleep(1000) }
        #expect(memories[0].awaited == 1)
        memories[1].exchange([(0, parcel)], [])
        done.wait()
        #expect(memories[0].awaited == nil)
    }
}
