import TensorKernels

extension DoubleTensor {
    /// The same numbers for the engine.
    public func tensor(in context: ComputeContext) -> Tensor { Tensor(floats, shape: shape, in: context) }

    /// The same numbers as a layer's parameter.
    public var weight: Weight { Weight(StoredTensor(name: "weight", shape: shape, values: floats)) }
}

extension Tensor {
    /// The largest difference from `expected`, relative to the largest expected value; infinite for another shape.
    public func relativeError(to expected: DoubleTensor) -> Double {
        shape == expected.shape ? ReferenceKernels.relativeError(floats, expected.values) : .infinity
    }
}

extension ComputeContext {
    /// A context for every instruction set that this processor has, the best first.
    public static func ofAllInstructionSets(
        threads: Int = 1, elementType: ElementType = .float32, backend: BackendName = .openBLAS
    ) -> [ComputeContext] {
        var contexts: [ComputeContext] = []
        while let context = try? ComputeContext(
            threads: threads, elementType: elementType, backend: backend, instructionSet: contexts.count, grain: 1)
        {
            contexts.append(context)
        }
        return contexts
    }

    /// Whether `compute` gives the same bits on 1, 2 and 3 threads, on every instruction set.
    public static func givesSameBitsOnAnyThreads(
        elementType: ElementType = .float32, _ compute: (ComputeContext) throws -> [Tensor]
    ) rethrows -> Bool {
        var bits: [[[UInt32]]] = []
        for threads in 1...3 {
            var all: [[UInt32]] = []
            for context in ofAllInstructionSets(threads: threads, elementType: elementType) {
                for tensor in try compute(context) { all.append(tensor.floats.map(\.bitPattern)) }
            }
            bits.append(all)
        }
        return bits[0].isEmpty == false && bits[0] == bits[1] && bits[0] == bits[2]
    }
}
