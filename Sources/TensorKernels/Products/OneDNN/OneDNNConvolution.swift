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
        var layouts: [LaidOutWeights] = []
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

    private struct LaidOutWeights {
        let layout: dnnl_memory_desc_t
        let buffer: Buffer
    }

    init(_ geometry: ConvolutionGeometry, weight: Weight, library: OneDNNLibrary) {
        self.geometry = geometry
        self.weight = weight
        self.library = library
    }

    func forward(_ x: Tensor, bias: [Float]?, as type: ElementType, in context: ComputeContext) throws -> Tensor {
        let shape = [geometry.output(of: x.shape[0]), geometry.output(of: x.shape[1]), geometry.outputs]
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
        try state.withLock { state in
            let primitive: OneDNNPrimitive
            if let known = state.primitives[problem] {
                primitive = known
            } else {
                primitive = try problem.backward ? makeBackward(problem) : makeForward(problem)
                state.primitives[problem] = primitive
            }
            guard let layout = primitive.layouts[.weights] else {
                throw Failure.internalFault("oneDNN: a convolution without weights")
            }
            if let known = state.layouts.first(where: { $0.layout.isEqual(to: layout) }) {
                return (primitive, known.buffer)
            }
            let buffer = try layOut(layout, in: context)
            state.layouts.append(LaidOutWeights(layout: layout, buffer: buffer))
            return (primitive, buffer)
        }
    }

    /// The weights, from `[outputs, inputs, k, k]` into the library's layout.
    private func layOut(_ layout: dnnl_memory_desc_t, in context: ComputeContext) throws -> Buffer {
        var plain = try dnnl_memory_desc_t(
            [geometry.outputs, geometry.inputs, geometry.kernel, geometry.kernel], dnnl_f32, dnnl_abcd)
        var layout = layout
        let target = Buffer(byteCount: layout.byteCount, pool: context.pool)
        library.useTeam()
        try weight.withFloat32 { values in
            let from: dnnl_memory_t = try made("weights") {
                dnnl_memory_create(&$0, &plain, library.engine, UnsafeMutablePointer(mutating: values))
            }
            defer { dnnl_memory_destroy(from) }
            let to: dnnl_memory_t = try made("weights") {
                dnnl_memory_create(&$0, &layout, library.engine, target.pointer)
            }
            defer { dnnl_memory_destroy(to) }
            let description: dnnl_primitive_desc_t = try made("reorder") {
                dnnl_reorder_primitive_desc_create(&$0, &plain, library.engine, &layout, library.engine, nil)
            }
            defer { dnnl_primitive_desc_destroy(description) }
            let reorder: dnnl_primitive_t = try made("reorder") { dnnl_primitive_create(&$0, description) }
            defer { dnnl_primitive_destroy(reorder) }
            let arguments = [
                dnnl_exec_arg_t(arg: OneDNNArgument.source.number, memory: from),
                dnnl_exec_arg_t(arg: OneDNNArgument.destination.number, memory: to),
            ]
            try check(dnnl_primitive_execute(reorder, library.stream, 2, arguments), "reorder")
            try check(dnnl_stream_wait(library.stream), "reorder")
        }
        weight.releasePages()
        return target
    }
}

extension OneDNNConvolution {
    private func makeForward(_ problem: Problem) throws -> OneDNNPrimitive {
        var description = try forwardDescription(problem, bias: true)
        return try OneDNNPrimitive(
            "convolution \(geometry)", description: &description, accumulating: problem.accumulating,
            arguments: [.source, .weights, .bias, .destination], library: library)
    }

    private func makeBackward(_ problem: Problem) throws -> OneDNNPrimitive {
        var forward = try forwardDescription(problem, bias: false)
        var description = dnnl_convolution_desc_t()
        var (source, weights, destination) = try layouts(problem)
        var strides = [Int64](repeating: Int64(geometry.stride), count: 2)
        var before = [Int64](repeating: Int64(geometry.before), count: 2)
        var after = paddingAfter(problem)
        try check(
            dnnl_convolution_backward_data_desc_init(
                &description, dnnl_convolution_direct, &source, &weights, &destination, &strides, &before, &after),
            "convolution gradient \(geometry)")
        return try OneDNNPrimitive(
            "convolution gradient \(geometry)", description: &description, hint: &forward,
            arguments: [.sourceGradient, .weights, .destinationGradient], library: library)
    }

    private func forwardDescription(_ problem: Problem, bias hasBias: Bool) throws -> dnnl_convolution_desc_t {
        var description = dnnl_convolution_desc_t()
        var (source, weights, destination) = try layouts(problem)
        var bias = try dnnl_memory_desc_t([geometry.outputs], dnnl_f32, dnnl_a)
        var strides = [Int64](repeating: Int64(geometry.stride), count: 2)
        var before = [Int64](repeating: Int64(geometry.before), count: 2)
        var after = paddingAfter(problem)
        let status =
            hasBias
            ? dnnl_convolution_forward_desc_init(
                &description, dnnl_forward_inference, dnnl_convolution_direct, &source, &weights, &bias, &destination,
                &strides, &before, &after)
            : dnnl_convolution_forward_desc_init(
                &description, dnnl_forward_training, dnnl_convolution_direct, &source, &weights, nil, &destination,
                &strides, &before, &after)
        try check(status, "convolution \(geometry)")
        return description
    }

    private func layouts(
        _ problem: Problem
    ) throws -> (source: dnnl_memory_desc_t, weights: dnnl_memory_desc_t, destination: dnnl_memory_desc_t) {
        let type = problem.type.oneDNN
        let outputType = problem.outputType.oneDNN
        let (height, width) = (geometry.output(of: problem.height), geometry.output(of: problem.width))
        return (
            try dnnl_memory_desc_t([1, geometry.inputs, problem.height, problem.width], type, dnnl_acdb),
            try dnnl_memory_desc_t(
                [geometry.outputs, geometry.inputs, geometry.kernel, geometry.kernel], type, dnnl_format_tag_any),
            try dnnl_memory_desc_t([1, geometry.outputs, height, width], outputType, dnnl_acdb)
        )
    }

    /// The library wants the padding that the outputs really use; a stride may leave the last row unused.
    private func paddingAfter(_ problem: Problem) -> [Int64] {
        [problem.height, problem.width].map { side in
            Int64((geometry.output(of: side) - 1) * geometry.stride + geometry.kernel - side - geometry.before)
        }
    }
}
