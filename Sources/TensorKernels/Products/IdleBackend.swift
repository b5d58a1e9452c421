/// Gives results of the right shapes and computes nothing: `ComputeContext(countingIn:)`.
///
/// It goes by oneDNN's name, since which way a convolution takes depends on the library.
struct IdleBackend: ProductBackend {
    var name: BackendName { .oneDNN }

    func computes(in elementType: ElementType) -> Bool { true }

    func multiply(
        _ x: Tensor, by weight: Weight, transposed: Bool, bias: [Float]?, into y: inout TensorDraft,
        accumulating: Bool, in context: ComputeContext
    ) throws {
        let size = ProductSize(rows: x.rows, inputs: x.columns, outputs: y.columns, transposed: transposed)
        try layOut(weight, for: size, in: context)
    }

    func layOut(_ weight: Weight, for size: ProductSize, in context: ComputeContext) throws {
        try context.layingOut?.backend.layOut(weight, for: size, in: context)
    }

    func convolution(_ geometry: ConvolutionGeometry, weight: Weight) -> any ConvolutionKernel {
        IdleConvolution(geometry: geometry)
    }
}

private struct IdleConvolution: ConvolutionKernel {
    let geometry: ConvolutionGeometry

    func forward(_ x: Tensor, bias: [Float]?, as type: ElementType, in context: ComputeContext) -> Tensor {
        let shape = [geometry.outputHeight(of: x.shape[0]), geometry.outputWidth(of: x.shape[1]), geometry.outputs]
        return TensorDraft(uninitialized: shape, as: type, in: context).finished()
    }

    func forward(_ x: Tensor, bias: [Float]?, addingTo sum: inout TensorDraft, in context: ComputeContext) {}

    func gradient(
        _ dy: Tensor, height: Int, width: Int, as type: ElementType, in context: ComputeContext
    ) -> Tensor {
        TensorDraft(uninitialized: [height, width, geometry.inputs], as: type, in: context).finished()
    }
}
