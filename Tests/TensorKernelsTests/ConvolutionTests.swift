import ReferenceKernels
import TensorKernels
import Testing

/// Convolutions of both libraries against the sum's definition; up to 630 products a sum, so 2e-6 of the largest value.
@Suite struct ConvolutionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let geometry: ConvolutionGeometry
        let height: Int
        let width: Int

        init(
            _ inputs: Int, _ outputs: Int, k kernel: Int, stride: Int = 1, before: Int, after: Int, _ height: Int,
            _ width: Int
        ) {
            self.init(
                ConvolutionGeometry(
                    inputs: inputs, outputs: outputs, kernel: kernel, stride: stride, before: before, after: after),
                height, width)
        }

        init(_ geometry: ConvolutionGeometry, _ height: Int, _ width: Int) {
            self.geometry = geometry
            self.height = height
            self.width = width
        }

        var testDescription: String { "\(geometry) of \(height) x \(width)" }
    }

    static let cases = [
        Case(4, 20, k: 3, before: 1, after: 1, 9, 7), Case(70, 3, k: 3, before: 1, after: 1, 5, 6),
        Case(16, 32, k: 3, before: 1, after: 1, 8, 8), Case(33, 17, k: 3, before: 1, after: 1, 1, 1),
        Case(1, 1, k: 3, before: 1, after: 1, 1, 13), Case(5, 70, k: 3, before: 1, after: 1, 2, 1),
        Case(9, 5, k: 3, before: 0, after: 1, 6, 5), Case(9, 5, k: 3, before: 0, after: 0, 6, 5),
        Case(3, 70, k: 1, before: 0, after: 0, 6, 7), Case(70, 16, k: 1, before: 0, after: 0, 1, 1),
        Case(16, 16, k: 3, stride: 2, before: 1, after: 1, 8, 8),
        Case(7, 9, k: 3, stride: 2, before: 1, after: 1, 7, 10),
        Case(40, 40, k: 3, stride: 2, before: 0, after: 1, 8, 6),
        Case(7, 9, k: 3, stride: 2, before: 0, after: 1, 9, 7),
        Case(5, 3, k: 3, stride: 2, before: 1, after: 1, 1, 2), Case(12, 5, k: 1, stride: 2, before: 0, after: 0, 6, 5),
    ]

    /// Zeros or none on each of the four sides, as a strip of a picture has them.
    static let paddings = (0..<16).flatMap { sides in
        let padding = ConvolutionGeometry.Padding(
            top: sides & 1, bottom: sides >> 1 & 1, left: sides >> 2 & 1, right: sides >> 3)
        return [1, 2].flatMap { stride in
            [
                Case(ConvolutionGeometry(inputs: 9, outputs: 5, kernel: 3, stride: stride, padding: padding), 5, 6),
                Case(ConvolutionGeometry(inputs: 16, outputs: 32, kernel: 3, stride: stride, padding: padding), 8, 7),
                Case(ConvolutionGeometry(inputs: 32, outputs: 16, kernel: 3, stride: stride, padding: padding), 3, 9),
            ]
        }
    }

    @Test(arguments: cases + paddings, BackendName.allCases)
    func valuesAndGradients(test: Case, backend: BackendName) throws {
        let geometry = test.geometry
        let shape = [geometry.outputs, geometry.inputs, geometry.kernel, geometry.kernel]
        let weight = DoubleTensor(normal: shape, seed: 1)
        let bias = DoubleTensor(normal: [geometry.outputs], seed: 2)
        let x = DoubleTensor(normal: [test.height, test.width, geometry.inputs], seed: 3)
        let reference = ReferenceConvolution(weight, stride: geometry.stride, padding: geometry.padding)
        let expected = reference(x, bias)
        let dy = DoubleTensor(normal: expected.shape, seed: 4)
        let dx = reference.gradient(dy, height: test.height, width: test.width)
        // The reference's own two halves are transposes of each other.
        let product = dy.dot(reference(x, nil))
        #expect(abs(product - dx.dot(x)) < 1e-12 * dx.norm * x.norm)

        let context = try ComputeContext(threads: 1, backend: backend)
        let kernel = context.backend.convolution(
            geometry, weight: Weight(StoredTensor(name: "w", shape: shape, values: weight.floats)))
        let input = x.tensor(in: context)
        let y = try kernel.forward(input, bias: bias.floats, as: .float32, in: context)
        #expect(y.relativeError(to: expected) < 2e-6)
        let plain = try kernel.forward(input, bias: nil, as: .float32, in: context)
        #expect(plain.relativeError(to: reference(x, nil)) < 2e-6)
        var sum = dy.tensor(in: context).draft(in: context)
        try kernel.forward(input, bias: bias.floats, addingTo: &sum, in: context)
        #expect(sum.finished().relativeError(to: expected + dy) < 2e-6)
        let gradient = try kernel.gradient(
            dy.tensor(in: context), height: test.height, width: test.width, as: .float32, in: context)
        #expect(gradient.relativeError(to: dx) < 2e-6)
    }

    /// One kernel at several sizes and in both formats, in turn: each keeps its own prepared weights.
    @Test(arguments: BackendName.allCases)
    func oneKernelManySizes(backend: BackendName) throws {
        let weight = DoubleTensor(normal: [24, 12, 3, 3], seed: 1)
        let geometry = ConvolutionGeometry(inputs: 12, outputs: 24, kernel: 3, before: 1, after: 1)
        let reference = ReferenceConvolution(weight, padding: geometry.padding)
        let context = try ComputeContext(threads: 2, backend: backend, grain: 1)
        let kernel = context.backend.convolution(
            geometry,
            weight: Weight(StoredTensor(name: "w", shape: weight.shape, values: weight.floats)))
        for side in [5, 12, 5, 8] {
            let x = DoubleTensor(normal: [side, side + 1, 12], seed: UInt64(side))
            let y = try kernel.forward(x.tensor(in: context), bias: nil, as: .float32, in: context)
            #expect(y.relativeError(to: reference(x, nil)) < 2e-6)
            let dy = DoubleTensor(normal: y.shape, seed: 9)
            let dx = try kernel.gradient(
                dy.tensor(in: context), height: side, width: side + 1, as: .float32, in: context)
            #expect(dx.relativeError(to: reference.gradient(dy, height: side, width: side + 1)) < 2e-6)
        }
    }
}
