import TensorKernels
import Testing

@Suite struct SharedWeightsTests {
    /// A whole network and its gradient have the same bits whether its weights are this process's own or shared, and a
    /// second network on the same arena makes nothing anew.
    @Test(arguments: ModelFixture.names, BackendName.allCases)
    func networksShareTheirWeights(model: String, backend: BackendName) throws {
        for type in ElementType.allCases {
            let context = try ComputeContext(threads: 1, elementType: type, backend: backend)
            func evaluations(_ store: WeightStore) throws -> [[UInt32]] {
                try UNetCase(model, store: store, in: context).evaluations().flatMap { test in
                    [test.noise.map(\.bitPattern), test.gradient.map(\.bitPattern)]
                }
            }
            let own = WeightStore()
            let expected = try evaluations(own)
            let arena = try SharedArena.create(byteCount: 1 << 30)
            let first = WeightStore(arena: arena)
            #expect(try evaluations(first) == expected)
            #expect(first.byteCounts.privateBytes == 0 && first.byteCounts.sharedBytes > 0)
            #expect(first.byteCounts.sharedBytes == own.byteCounts.privateBytes)
            let used = arena.usedByteCount
            let second = WeightStore(arena: try SharedArena(opening: arena.handle))
            #expect(try evaluations(second) == expected)
            #expect(second.byteCounts == first.byteCounts && arena.usedByteCount == used)
        }
    }
}
