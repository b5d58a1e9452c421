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
                    x.tensor(in: context), by: matrix.tensor(in: context), transposed: transposed, bias: bias?.floats,
                    into: &y, accumulating: accumulating, in: context)
                #expect(
                    y.finished().relativeError(to: expected) < 2e-6,
                    "bias \(bias != nil), accumulating \(accumulating), transposed \(transposed)")
            }
        }
    }
}
