import COneDNN
import Failures
import Synchronization

/// A convolution by oneDNN, channels last, the weights in whatever blocked layout the library likes at each size.
///
/// The input gradient of a convolution of stride 1 is the forward pass of its adjoint, which is the faster path;
/// other strides use the library's backward pass.
final class OneDNNConvolution: ConvolutionKernel {
    private let geometry: ConvolutionGeometry
    private let weight: Weight
    private let library: OneDNNLibrary
    private let state = Mutex(State())

    private struct State {
        var primitives: [Problem: OneDNNPrimitive] = [:]
        var adjoint: OneDNNConvolution?
    }

    private struct Problem: Hashable {
        let height: Int
        let width: Int
        /// Of the input and the weights.
        let type: ElementType
        let outputType: ElementType
        let accumulating: Bool
        let backward: Bool
    }

    init(_ geometry: ConvolutionGeometry, weight: Weight, library: OneDNNLibrary) {
        self.geometry = geometry
        self.weight = weight
        self.library = library
    }

    func forward(_ x: Tensor, bias: [Float]?, as type: ElementType, in context: ComputeContext) throws -> Tensor {
        let shape = [geometry.outputHeight(of: x.shape[0]), geometry.outputWidth(of: x.shape[1]), geometry.outputs]
        var y = TensorDraft(uninitialized: shape, as: type, in: context)
        try run(x, bias: bias, into: &y, accumulating: false, in: context)
        return y.finished()
    }

    func forward(_ x: Tensor, bias: [Float]?, addingTo sum: inout TensorDraft, in context: ComputeContext) throws {
        try run(x, bias: bias, into: &sum, accumulating: true, in: context)
    }

    private func run(
        _ x: Tensor, bias: [Float]?, into y: inout TensorDraft, accumulating: Bool, in context: ComputeContext
    ) throws {
        let problem = Problem(
            height: x.shape[0], width: x.shape[1], type: x.elementType, outputType: y.elementType,
            accumulating: accumulating, backward: false)
        let (primitive, weights) = try prepare(problem, in: context)
        let bias = bias ?? [Float](repeating: 0, count: geometry.outputs)
        let destination = UnsafeRawPointer(y.elements.pointer)
        try bias.withUnsafeBytes { bias in
            guard let bias = bias.baseAddress else { return }
            try primitive.run(
                [
                    (.source, x.pointer), (.weights, UnsafeRawPointer(weights.pointer)), (.destination, destination),
                    (.bias, bias),
                ], in: context)
        }
    }

    func gradient(
        _ dy: Tensor, height: Int, width: Int, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor {
        if geometry.stride == 1 { return try adjoint().forward(dy, bias: nil, as: type, in: context) }
        // The library's backward pass writes the type it reads, in the versions that Debian has.
        let problem = Problem(
            height: height, width: width, type: dy.elementType, outputType: dy.elementType, accumulating: false,
            backward: true)
        let (primitive, weights) = try prepare(problem, in: context)
        var dx = TensorDraft(uninitialized: [height, width, geometry.inputs], as: dy.elementType, in: context)
        try primitive.run(
            [
                (.sourceGradient, UnsafeRawPointer(dx.elements.pointer)), (.weights, UnsafeRawPointer(weights.pointer)),
                (.destinationGradient, dy.pointer),
            ], in: context)
        return dx.finished().converted(in: context.with(elementType: type))
    }

    private func adjoint() -> OneDNNConvolution {
        state.withLock { state in
            if let adjoint = state.adjoint { return adjoint }
            let adjoint = OneDNNConvolution(
                geometry.adjoint, weight: weight.rotated(geometry), library: library)
            state.adjoint = adjoint
            return adjoint
        }
    }

    private func prepare(
        _ problem: Problem, in context: ComputeContext
    ) throws -> (OneDNNPrimitive, Buffer) {
        let primitive = try state.withLock { state in
            if let known = state.primitives[problem] { return known }
            let primitive = try problem.backward ? makeBackward(problem) : makeForward(problem)
            state.primitives[problem] = primitive
            return primitive
        }
        guard let layout = primitive.layouts[.weights] else {
            throw Failure.internalFault("oneDNN: a convolution without weights")
        }
        // A layout that the library keeps to itself comes again for the same problem.
        let form = layout.text ?? "for \(problem) on \(context.threads) threads"
        return (primitive, try weights(in: layout, as: "oneDNN \(form)", in: context))
    }

    /// The weights, from `[outputs, inputs, k, k]` into the library's layout.
    private func weights(in layout: OneDNNLayout, as form: String, in context: ComputeContext) throws -> Buffer {
        try weight.copy(as: form, byteCount: layout.byteCount, in: context) { values, target, _ in
            let plain = try OneDNNLayout(
                [geometry.outputs, geometry.inputs, geometry.kernel, geometry.kernel], dnnl_f32, dnnl_abcd)
            try layout.fill(target, from: values, in: plain, library)
        }
    }
}

extension OneDNNConvolution {
    private func makeForward(_ problem: Problem) throws -> OneDNNPrimitive {
        let (source, weights, destination) = try layouts(problem)
        let bias = try OneDNNLayout([geometry.outputs], dnnl_f32, dnnl_a)
        var window = window(problem)
        return try OneDNNPrimitive(
            "convolution \(geometry)", arguments: [.source, .weights, .bias, .destination], library: library
        ) {
            pilot_dnnl_convolution_choose(
                &$0, library.engine, source.handle, weights.handle, bias.handle, destination.handle, &window,
                problem.accumulating ? 1 : 0)
        }
    }

    private func makeBackward(_ problem: Problem) throws -> OneDNNPrimitive {
        let (source, weights, destination) = try layouts(problem)
        var window = window(problem)
        return try OneDNNPrimitive(
            "convolution gradient \(geometry)", arguments: [.sourceGradient, .weights, .destinationGradient],
            library: library
        ) {
            pilot_dnnl_convolution_gradient_choose(
                &$0, library.engine, source.handle, weights.handle, destination.handle, &window)
        }
    }

    private func layouts(
        _ problem: Problem
    ) throws -> (source: OneDNNLayout, weights: OneDNNLayout, destination: OneDNNLayout) {
        let type = problem.type.oneDNN
        let outputType = problem.outputType.oneDNN
        let (height, width) = (geometry.outputHeight(of: problem.height), geometry.outputWidth(of: problem.width))
        return (
            try OneDNNLayout([1, geometry.inputs, problem.height, problem.width], type, dnnl_acdb),
            try OneDNNLayout(
                [geometry.outputs, geometry.inputs, geometry.kernel, geometry.kernel], type, dnnl_format_tag_any),
            try OneDNNLayout([1, geometry.outputs, height, width], outputType, dnnl_acdb)
        )
    }

    private func window(_ problem: Problem) -> pilot_dnnl_window {
        // The library wants the padding that the outputs really use; a stride may leave the last row unused.
        func after(_ side: Int, _ output: Int, _ before: Int) -> Int64 {
            Int64((output - 1) * geometry.stride + geometry.kernel - side - before)
        }
        let (stride, padding) = (Int64(geometry.stride), geometry.padding)
        return pilot_dnnl_window(
            strides: (stride, stride), before: (Int64(padding.top), Int64(padding.left)),
            after: (
                after(problem.height, geometry.outputHeight(of: problem.height), padding.top),
                after(problem.width, geometry.outputWidth(of: problem.width), padding.left)
            ))
    }
}
