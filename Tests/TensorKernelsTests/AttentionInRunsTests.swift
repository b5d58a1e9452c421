import ReferenceKernels
import TensorKernels
import Testing

/// Attention to keys that come run after run has the bits of all of them at once.
@Suite struct AttentionInRunsTests {
    /// Every way to cut the keys between blocks, of which there are three to ten here, by every instruction set.
    @Test(arguments: [(queries: 70, keys: 890), (5, 768), (64, 1153)], ElementType.allCases)
    func everyCut(size: (queries: Int, keys: Int), type: ElementType) {
        let (heads, width) = (2, 20)
        let q = DoubleTensor(normal: [size.queries, heads * width], seed: 1)
        let k = DoubleTensor(normal: [size.keys, heads * width], seed: 2)
        let v = DoubleTensor(normal: [size.keys, heads * width], seed: 3)
        let attention = ScaledDotProductAttention(heads: heads)
        for context in ComputeContext.ofAllInstructionSets(elementType: type) {
            let (q, k, v) = (q.tensor(in: context), k.tensor(in: context), v.tensor(in: context))
            for (mask, first) in Self.masks(size) {
                let (y, saved) = attention.forward(q, k, v, mask: mask, firstQuery: first, in: context)
                for borders in Self.cuts(size.keys, in: context) {
                    var runs = AttentionInRuns(attention, q, mask: mask, firstQuery: first, in: context)
                    for border in borders {
                        let run = runs.keys..<border
                        runs.add(k.rows(run, in: context), v.rows(run, in: context))
                    }
                    let rest = runs.keys..<size.keys
                    let inRuns = runs.finish(k.rows(rest, in: context), v.rows(rest, in: context))
                    let place: Comment = "\(context.instructionSetName), cut at \(borders)"
                    #expect(inRuns.y.floats.map(\.bitPattern) == y.floats.map(\.bitPattern), place)
                    #expect(inRuns.saved.logSumExp.map(\.bitPattern) == saved.logSumExp.map(\.bitPattern), place)
                }
            }
        }
    }

    /// With the position of the first query: as a whole picture's, and as a strip's. The first keys of one are all in the
    /// foreground, which a query of the background does not see, so that its sums begin later.
    private static func masks(_ size: (queries: Int, keys: Int)) -> [(AttentionMask?, Int)] {
        let foreground = (0..<size.keys).map { UInt8($0 < 500 || $0 % 7 < 3 ? 1 : 0) }
        let first = size.keys - size.queries
        return [
            (nil, 0), (.causal, first), (.backgroundKeys(foreground: foreground), 0),
            (.backgroundKeys(foreground: foreground), first), (.firstKeyOnly(foreground: foreground, chunk: 77), first),
        ]
    }

    /// All of few blocks; of many each single border, and all borders at once.
    private static func cuts(_ keys: Int, in context: ComputeContext) -> [[Int]] {
        let borders = (1..<keys).filter { AttentionInRuns.wholeBlocks($0, in: context) == $0 }
        guard borders.count <= 4 else { return borders.map { [$0] } + [borders] }
        return (0..<1 << borders.count).map { cut in
            borders.indices.filter { cut >> $0 & 1 == 1 }.map { borders[$0] }
        }
    }

    /// Strips whose keys come one strip's after another's, at random times: blocks end where strips do not.
    @Test(arguments: [(30, 40, 2), (31, 45, 3), (24, 64, 8)], ElementType.allCases)
    func keysThatComeLate(cut: (height: Int, width: Int, strips: Int), type: ElementType) throws {
        let positions = cut.height * cut.width
        let mask = AttentionMask.backgroundKeys(foreground: (0..<positions).map { UInt8($0 % 7 < 3 ? 1 : 0) })
        let inputs = (1...3).map { DoubleTensor(normal: [cut.height, cut.width, 24], seed: $0) }
        let attention = ScaledDotProductAttention(heads: 3)
        let whole = try ComputeContext(threads: 2, elementType: type, backend: .openBLAS, grain: 1)
        let tensors = inputs.map { $0.tensor(in: whole) }
        let grid = StripGrid(height: cut.height, width: cut.width, halvings: 0, strips: cut.strips)
        let make = { @Sendable in try ComputeContext(threads: 1, elementType: type, backend: .openBLAS) }
        for mask in [nil, mask] {
            let y = attention.forward(tensors[0], tensors[1], tensors[2], mask: mask, in: whole).y
            let strips = try StripsOnThreads(grid, delays: true)(context: make) { context in
                let parts = inputs.map { context.ownRows(of: $0.tensor(in: context)) }
                let arrivals = try context.gathering([parts[1], parts[2]])
                return try attention.forward(strip: parts[0], arrivals, mask: mask, in: context).y
            }
            #expect(strips.flatMap(\.floats).map(\.bitPattern) == y.floats.map(\.bitPattern))
        }
    }
}
