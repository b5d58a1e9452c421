/// The libraries that can compute convolutions and matrix products.
public enum BackendName: String, Sendable, CaseIterable {
    /// oneDNN: float32 and bfloat16, the fast one.
    case oneDNN = "onednn"
    /// OpenBLAS: float32 products (bfloat16 is converted), the portable one and the cross-check.
    case openBLAS = "openblas"

    /// Whether a picture's rows have the same bits whatever other rows are computed with them: a product of OpenBLAS adds
    /// up in another order where it has other sizes.
    public var isExactInStrips: Bool { self == .oneDNN }

    func start(threads: Int) throws -> any ProductBackend {
        switch self {
        case .oneDNN: try OneDNNBackend(threads: threads)
        case .openBLAS: OpenBLASBackend(threads: threads)
        }
    }
}

/// The sizes of `y = x W^T`, or of `y = x W` when transposed: x `[rows, inputs]`, y `[rows, outputs]`.
public struct ProductSize: Sendable, Hashable {
    let rows: Int
    let inputs: Int
    let outputs: Int
    let transposed: Bool
}

/// A library of convolutions and matrix products.
public protocol ProductBackend: Sendable {
    var name: BackendName { get }

    /// Whether the library has code for this format on this processor.
    func computes(in elementType: ElementType) -> Bool

    /// `y = x W^T + bias`, or `y += x W^T + bias` when accumulating; with `transposed`, `x W` instead.
    ///
    /// x `[rows, inputs]`, weight `[outputs, inputs]` (`[inputs, outputs]` when transposed), y `[rows, outputs]`.
    /// x has the context's element type, in which it is multiplied; y has any.
    func multiply(
        _ x: Tensor, by weight: Weight, transposed: Bool, bias: [Float]?, into y: inout TensorDraft,
        accumulating: Bool, in context: ComputeContext) throws

    /// Lays out what `multiply` by the weight reads, as `context` lays weights out.
    func layOut(_ weight: Weight, for size: ProductSize, in context: ComputeContext) throws

    /// A convolution ready to run at any input size.
    func convolution(_ geometry: ConvolutionGeometry, weight: Weight) -> any ConvolutionKernel
}

/// One convolution with its weights in the backend's own layout.
public protocol ConvolutionKernel: Sendable {
    /// x `[h, w, inputs]`, of the context's element type, to `[h', w', outputs]` of `type`.
    func forward(_ x: Tensor, bias: [Float]?, as type: ElementType, in context: ComputeContext) throws -> Tensor

    /// The same, added to `sum`, which has any element type.
    func forward(_ x: Tensor, bias: [Float]?, addingTo sum: inout TensorDraft, in context: ComputeContext) throws

    /// The input gradient `[height, width, inputs]`, of `type`, of dy `[h', w', outputs]`, of the context's.
    func gradient(
        _ dy: Tensor, height: Int, width: Int, as type: ElementType, in context: ComputeContext
    ) throws -> Tensor
}
