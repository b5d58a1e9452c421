import ReferenceKernels
import TensorKernels
import Testing

@Suite struct ProductTests {
    /// Sums of at most 700 products: 2e-6 of the largest value.
    @Test(
        arguments: [(1, 1, 1), (1, 320, 70), (5, 7, 3), (64, 64, 64), (77, 33, 129), (130, 700, 17)],
        BackendName.allCases)
    func productsOfAllKinds(size: (rows: Int, inputs: Int, outputs: Int), backend: BackendName) throws {
        let x = DoubleTensor(normal: [size.rows, size.inputs], seed: 1)
        let weight = DoubleTensor(normal: [size.outputs, size.inputs], seed: 2)
        let bias = DoubleTensor(normal: [size.outputs], seed: 3)
        let start = DoubleTensor(normal: [size.rows, size.outputs], seed: 4)
        var transpose = DoubleTensor(zeros: [size.inputs, size.outputs])
        for output in 0..<size.outputs {
            for input in 0..<size.inputs {
                transpose.values[input * size.outputs + output] = weight.values[output * size.inputs + input]
            }
        }
        let context = try ComputeContext(threads: 1, backend: backend)
        for (bias, accumulating) in [(bias, false), (nil, false), (bias, true), (nil, true)] {
            let product = x.linear(weight, bias)
            let expected = accumulating ? product + start : product
            for (matrix, transposed) in [(weight, false), (transpose, true)] {
                var y = start.tensor(in: context).draft(in: context)
                try context.backend.multiply(
                    x.tensor(in: context), by: matrix.weight, transposed: transposed, bias: bias?.floats, into: &y,
                    accumulating: accumulating, in: context)
                #expect(
                    y.finished().relativeError(to: expected) < 2e-6,
                    "bias \(bias != nil), accumulating \(accumulating), transposed \(transposed)")
            }
        }
    }

    /// Whether a weight is copied depends on the number of rows, and strips of a picture have fewer: so it must not change a
    /// bit.
    @Test(arguments: [ElementType.float32, .bfloat16], [(64, 64), (33, 70), (320, 48)])
    func rowsHaveTheSameBitsAmongAnyOthers(type: ElementType, size: (inputs: Int, outputs: Int)) throws {
        guard let context = try? ComputeContext(threads: 1, elementType: type) else { return }
        let x = DoubleTensor(normal: [1500, size.inputs], seed: 1).tensor(in: context)
        for transposed in [false, true] {
            let shape = transposed ? [size.inputs, size.outputs] : [size.outputs, size.inputs]
            let weight = DoubleTensor(normal: shape, seed: 2).weight
            func product(_ rows: Int) throws -> [Float] {
                var y = TensorDraft(uninitialized: [rows, size.outputs], as: .float32, in: context)
                try context.backend.multiply(
                    x.rows(0..<rows, in: context), by: weight, transposed: transposed, bias: nil, into: &y,
                    accumulating: false, in: context)
                return y.finished().floats
            }
            let all = try product(1500)
            for rows in [1, 2, 15, 64, 1023, 1024, 1025] {
                #expect(try product(rows) == Array(all.prefix(rows * size.outputs)), "\(rows) rows")
            }
        }
    }

    /// Bias, sum and format of the result ask for no other layout.
    @Test(arguments: [ElementType.float32, .bfloat16])
    func aWeightIsCopiedOnceForEachWay(type: ElementType) throws {
        guard let context = try? ComputeContext(threads: 1, elementType: type) else { return }
        let store = WeightStore()
        let values = DoubleTensor(normal: [64, 64], seed: 1)
        let weight = Weight(StoredTensor(name: "w", shape: [64, 64], values: values.floats), in: store)
        let x = DoubleTensor(normal: [1024, 64], seed: 2).tensor(in: context)
        for (bias, accumulating) in [
            (values.floats.prefix(64), false), (nil, false), (values.floats.prefix(64), true),
        ] {
            for (transposed, yType) in [(false, type), (true, type), (false, .float32), (true, .float32)] {
                var y = DoubleTensor(zeros: [1024, 64]).tensor(in: context.with(elementType: yType)).draft(in: context)
                try context.backend.multiply(
                    x, by: weight, transposed: transposed, bias: bias.map(Array.init), into: &y,
                    accumulating: accumulating, in: context)
            }
        }
        #expect(store.byteCounts.privateBytes == 2 * 64 * 64 * type.byteCount)
    }
}
