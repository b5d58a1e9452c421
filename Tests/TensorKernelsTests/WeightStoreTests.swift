import ReferenceKernels
import TensorKernels
import Testing

@Suite struct WeightStoreTests {
    /// Weights of a convolution and of a linear layer in a file.
    private struct Fixture {
        static let kernel = [24, 16, 3, 3]
        static let matrix = [40, 24]
        let scratch: SafetensorsScratch
        let file: SafetensorsFile

        init(as type: StoredElementType) throws {
            scratch = try SafetensorsScratch()
            let path = scratch.path("weights.safetensors")
            let declarations = [
                TensorDeclaration(name: "kernel", elementType: type, shape: Self.kernel),
                TensorDeclaration(name: "matrix", elementType: type, shape: Self.matrix),
            ]
            try SafetensorsWriter.write(to: path, declarations) { payload in
                for (seed, shape) in [Self.kernel, Self.matrix].enumerated() {
                    try payload.append(DoubleTensor(normal: shape, seed: UInt64(seed + 1)).floats)
                }
            }
            file = try SafetensorsFile(path: path)
        }

        /// Everything that is computed with weights: convolutions of two strides, their gradients, a product.
        func results(_ store: WeightStore, in context: ComputeContext) throws -> [[UInt32]] {
            let kernel = Weight(try #require(file.tensors["kernel"]), in: store)
            let matrix = Weight(try #require(file.tensors["matrix"]), in: store)
            let x = DoubleTensor(normal: [8, 6, 16], seed: 3).tensor(in: context)
            var results: [Tensor] = []
            for stride in [1, 2] {
                let convolution = context.backend.convolution(
                    ConvolutionGeometry(inputs: 16, outputs: 24, kernel: 3, stride: stride, before: 1, after: 1),
                    weight: kernel)
                let y = try convolution.forward(x, bias: nil, as: context.elementType, in: context)
                results += [y, try convolution.gradient(y, height: 8, width: 6, as: .float32, in: context)]
            }
            let weights = try matrix.tensor(in: context)
            results.append(weights)
            return results.map { $0.floats.map(\.bitPattern) }
        }
    }

    /// Same numbers wherever the copies are, and one copy for all stores of an arena.
    @Test(arguments: [StoredElementType.float32, .float16, .bfloat16], BackendName.allCases)
    func numbersAreTheSameInAnArena(stored: StoredElementType, backend: BackendName) throws {
        let fixture = try Fixture(as: stored)
        for type in ElementType.allCases {
            let context = try ComputeContext(threads: 1, elementType: type, backend: backend)
            let own = WeightStore()
            let expected = try fixture.results(own, in: context)
            #expect(own.byteCounts.privateBytes > 0 && own.byteCounts.sharedBytes == 0)

            let arena = try SharedArena.create(byteCount: 1 << 24)
            let first = WeightStore(arena: arena)
            #expect(try fixture.results(first, in: context) == expected)
            #expect(first.byteCounts.privateBytes == 0)
            #expect(first.byteCounts.sharedBytes == own.byteCounts.privateBytes)
            let used = arena.usedByteCount
            #expect(used >= first.byteCounts.sharedBytes)
            // Another process's store, and file.
            let second = WeightStore(arena: try SharedArena(opening: arena.handle))
            #expect(try fixture.results(second, in: context) == expected)
            #expect(second.byteCounts == first.byteCounts && arena.usedByteCount == used)
        }
    }

    @Test func withoutRoomInTheArenaCopiesArePrivate() throws {
        let fixture = try Fixture(as: .float16)
        let context = try ComputeContext(threads: 1)
        let expected = try fixture.results(WeightStore(), in: context)
        let store = WeightStore(arena: try SharedArena.create(byteCount: 5000))
        #expect(try fixture.results(store, in: context) == expected)
        #expect(store.byteCounts.privateBytes > 0 && store.byteCounts.sharedBytes <= 5000)
    }

    /// Values that are no file's have no name that another process would know.
    @Test func valuesMadeInMemoryAreNeverShared() throws {
        let arena = try SharedArena.create(byteCount: 1 << 20)
        let store = WeightStore(arena: arena)
        let context = try ComputeContext(threads: 1)
        for scale in [1, 2] as [Float] {
            let weight = Weight(StoredTensor(name: "w", shape: [2, 1], values: [scale, 3]), in: store)
            #expect(try weight.tensor(in: context).floats == [scale, 3])
        }
        #expect(store.byteCounts.privateBytes == 16 && store.byteCounts.sharedBytes == 0)
        #expect(arena.usedByteCount == 0)
    }

    @Test func whatIsNoLongerUsedGoes() throws {
        let fixture = try Fixture(as: .float16)
        let context = try ComputeContext(threads: 1)
        let store = WeightStore()
        let matrix = Weight(try #require(fixture.file.tensors["matrix"]), in: store)
        let kernel = Weight(try #require(fixture.file.tensors["kernel"]), in: store)
        let expected = try kernel.tensor(in: context).floats
        _ = try matrix.tensor(in: context)
        let all = store.byteCounts.privateBytes
        store.releaseUnused()
        #expect(store.byteCounts.privateBytes == all)
        _ = try matrix.tensor(in: context)
        store.releaseUnused()
        #expect(store.byteCounts.privateBytes == 40 * 24 * 4)
        // A tensor in use outlives its release.
        let held = try kernel.tensor(in: context)
        store.releaseUnused()
        store.releaseUnused()
        #expect(store.byteCounts.privateBytes == 0)
        #expect(held.floats == expected)
        #expect(try kernel.tensor(in: context).floats == expected)
        // Shared copies stay: others may be using them.
        let arena = try SharedArena.create(byteCount: 1 << 20)
        let shared = WeightStore(arena: arena)
        _ = try fixture.results(shared, in: context)
        let before = shared.byteCounts
        for _ in 0..<2 { shared.releaseUnused() }
        #expect(shared.byteCounts == before)
    }
}
