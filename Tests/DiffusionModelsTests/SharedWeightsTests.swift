import DiffusionModels
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

    /// Weights that were laid out before a pass asked for them, by a network that computes nothing, give the same bits; what
    /// another process has begun with is left to it.
    @Test(arguments: ModelFixture.names, ElementType.allCases)
    func networksLayOutTheirWeightsBefore(model: String, type: ElementType) throws {
        let context = try ComputeContext(threads: 1, elementType: type)
        let expected = try UNetCase(model, store: WeightStore(), in: context).evaluations().map(\.noise)
        let arena = try SharedArena.create(byteCount: 1 << 30)
        let first = try UNetCase(model, store: WeightStore(arena: arena), in: context)
        try first.layOut()
        let used = arena.usedByteCount
        // This one has too few channels for tiles, and its other weights are read from the file as they are.
        #expect((used == 0) == (model == "odd" && type == .float32))
        try first.layOut()
        let second = try UNetCase(model, store: WeightStore(arena: try SharedArena(opening: arena.handle)), in: context)
        try second.layOut()
        #expect(arena.usedByteCount == used)
        #expect(try first.evaluations().map(\.noise) == expected)
        #expect(try second.evaluations().map(\.noise) == expected)
        // A store of this process alone has nothing to gain.
        let own = WeightStore()
        try UNetCase(model, store: own, in: context).layOut()
        #expect(own.byteCounts.privateBytes == 0 && own.byteCounts.sharedBytes == 0)
    }

    /// So do the stages of a cut network, wherever they begin.
    @Test(arguments: ModelFixture.names)
    func stagesLayOutTheirWeights(model: String) throws {
        let context = try ComputeContext(threads: 1)
        let whole = try SharedArena.create(byteCount: 1 << 30)
        let test = try UNetCase(model, store: WeightStore(arena: whole), in: context)
        try test.layOut()
        let arena = try SharedArena.create(byteCount: 1 << 30)
        let store = WeightStore(arena: arena)
        for rung in 0..<test.unet.configuration.rungCount { try test.layOut(rungs: rung..<rung + 1, store: store) }
        // The time embedding is in every stage, and made once.
        #expect(arena.usedByteCount == whole.usedByteCount)
    }
}
