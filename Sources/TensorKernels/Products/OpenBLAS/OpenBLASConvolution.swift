import Synchronization

/// A convolution as a product: the patches of the input as rows, one for each output position.
final class OpenBLASConvolution: ConvolutionKernel {
    private let geometry: ConvolutionGeometry
    private let weight: Weight
    private let backend: OpenBLASBackend
    private let state = Mutex(State())

    private struct State {
        var adjoint: OpenBLASConvolution?
    }

    init(_ geometry: ConvolutionGeometry, weight: Weight, backend: OpenBLASBackend) {
        self.geometry = geometry
        self.weight = weight
        self.backend = backend
    }

    private var patchLength: Int { geometry.kernel * geometry.kernel * geometry.inputs }

    /// Patches held at a time: some megabytes.
    private var patchRows: Int { max(1, (1 << 22) / patchLength) }

    func forward(_ x: Tensor, bias: [Float]?, as type: ElementType, in context: ComputeContext) throws -> Tensor {
        let shape = [geometry.outputHeight(of: x.shape[0]), geometry.outputWidth(of: x.shape[1]), geometry.outputs]
        var y = TensorDraft(uninitialized: shape, as: .float32, in: context)
        let weights = try channelsLastWeights(in: context)
        run(x, weights, bias: bias, into: &y, accumulating: false, in: context)
        return y.finished().converted(in: context.with(elementType: type))
    }

    func forward(_ x: Tensor, bias: [Float]?, addingTo sum: inout TensorDraft, in context: ComputeContext) throws {
        let weights = try channelsLastWeights(in: context)
        sum.asFloat32(accumulating: true, in: context) { sum in
            run(x, weights, bias: bias, into: &sum, accumulating: true, in: context)
        }
    }

    /// - Parameter y: a float32 tensor.
    private func run(
        _ x: Tensor, _ weights: Buffer, bias: [Float]?, into y: inout TensorDraft, accumulating: Bool,
        in context: ComputeContext
    ) {
        let single = context.with(elementType: .float32)
        let source = x.converted(in: single)
        let (rows, outputWidth) = (y.rows, y.shape[1])
        let target = y.elements
        var patches = TensorDraft(uninitialized: [min(patchRows, rows), patchLength], as: .float32, in: context)
        for first in stride(from: 0, to: rows, by: patchRows) {
            let end = min(first + patchRows, rows)
            gather(first..<end, outputWidth: outputWidth, of: source, into: patches.elements, in: single)
            backend.multiply(
                rows: end - first, inputs: patchLength, outputs: geometry.outputs, x: patches.elements.pointer,
                weight: weights.pointer, transposed: false, accumulating: accumulating,
                y: target.pointer(at: first * geometry.outputs))
        }
        if let bias { y.addBias(bias, in: single) }
    }

    func gradient(
        _ dy: Tensor, height: Int, width: Int, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor {
        if geometry.stride == 1 { return try adjoint().forward(dy, bias: nil, as: type, in: context) }
        let single = context.with(elementType: .float32)
        let source = dy.converted(in: single)
        let zeros = [Float](repeating: 0, count: height * width * geometry.inputs)
        var dx = Tensor(zeros, shape: [height, width, geometry.inputs], in: single).draft(in: single)
        let weights = try channelsLastWeights(in: context)
        let rows = dy.shape[0] * dy.shape[1]
        var patches = TensorDraft(uninitialized: [min(patchRows, rows), patchLength], as: .float32, in: context)
        for first in stride(from: 0, to: rows, by: patchRows) {
            let end = min(first + patchRows, rows)
            backend.multiply(
                rows: end - first, inputs: geometry.outputs, outputs: patchLength,
                x: source.pointer(at: first * geometry.outputs), weight: weights.pointer, transposed: true,
                accumulating: false, y: patches.elements.pointer)
            scatter(first..<end, outputWidth: dy.shape[1], from: patches.elements, into: &dx)
        }
        return dx.finished().converted(in: context.with(elementType: type))
    }

    private func adjoint() -> OpenBLASConvolution {
        state.withLock { state in
            if let adjoint = state.adjoint { return adjoint }
            let adjoint = OpenBLASConvolution(geometry.adjoint, weight: weight.rotated(geometry), backend: backend)
            state.adjoint = adjoint
            return adjoint
        }
    }

    /// `[outputs, k, k, inputs]` in float32, as a row of patches has them.
    private func channelsLastWeights(in context: ComputeContext) throws -> Buffer {
        try weight.copy(as: "channels last float32", byteCount: weight.count * 4, in: context) { values, target, _ in
            let ordered = target.assumingMemoryBound(to: Float.self)
            let taps = geometry.kernel * geometry.kernel
            for output in 0..<geometry.outputs {
                for input in 0..<geometry.inputs {
                    for tap in 0..<taps {
                        ordered[(output * taps + tap) * geometry.inputs + input] =
                            values[(output * geometry.inputs + input) * taps + tap]
                    }
                }
            }
        }
    }

    /// Calls `body` with every tap of every position in `positions`: offset in the patches, offset in the picture or
    /// nil when the tap falls on the padding.
    private func forEachTap(
        of positions: Range<Int>, outputWidth: Int, height: Int, width: Int, _ body: (Int, Int?) -> Void
    ) {
        for position in positions {
            let top = position / outputWidth * geometry.stride - geometry.padding.top
            let left = position % outputWidth * geometry.stride - geometry.padding.left
            for tap in 0..<geometry.kernel * geometry.kernel {
                let (y, x) = (top + tap / geometry.kernel, left + tap % geometry.kernel)
                let inside = y >= 0 && y < height && x >= 0 && x < width
                body(
                    (position - positions.lowerBound) * patchLength + tap * geometry.inputs,
                    inside ? (y * width + x) * geometry.inputs : nil)
            }
        }
    }

    private func gather(
        _ positions: Range<Int>, outputWidth: Int, of x: Tensor, into patches: DraftElements, in context: ComputeContext
    ) {
        let run = geometry.inputs * 4
        context.parallel(positions.count, of: patchLength) { part in
            let part = part.lowerBound + positions.lowerBound..<part.upperBound + positions.lowerBound
            let base = patches.pointer(at: (part.lowerBound - positions.lowerBound) * patchLength)
            forEachTap(of: part, outputWidth: outputWidth, height: x.shape[0], width: x.shape[1]) { patch, place in
                if let place {
                    (base + patch * 4).copyMemory(from: x.pointer(at: place), byteCount: run)
                } else {
                    (base + patch * 4).initializeMemory(as: UInt8.self, repeating: 0, count: run)
                }
            }
        }
    }

    private func scatter(
        _ positions: Range<Int>, outputWidth: Int, from patches: DraftElements, into dx: inout TensorDraft
    ) {
        let elements = dx.elements
        forEachTap(of: positions, outputWidth: outputWidth, height: dx.shape[0], width: dx.shape[1]) { patch, place in
            guard let place else { return }
            let source = patches.pointer(at: patch).assumingMemoryBound(to: Float.self)
            let target = elements.pointer(at: place).assumingMemoryBound(to: Float.self)
            for channel in 0..<geometry.inputs { target[channel] += source[channel] }
        }
    }
}
