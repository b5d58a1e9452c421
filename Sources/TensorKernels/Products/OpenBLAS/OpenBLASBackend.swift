import COpenBLAS
import Synchronization

/// Products by OpenBLAS in float32; bfloat16 is converted on the way in and out.
final class OpenBLASBackend: ProductBackend {
    let threads: Int

    var name: BackendName { .openBLAS }

    init(threads: Int) { self.threads = threads }

    func computes(in elementType: ElementType) -> Bool { true }

    func multiply(
        _ x: Tensor, by weight: Weight, transposed: Bool, bias: [Float]?, into y: inout TensorDraft,
        accumulating: Bool, in context: ComputeContext
    ) throws {
        precondition(weight.count == x.columns * y.columns && x.rows == y.rows, "sizes of a product differ")
        let single = context.with(elementType: .float32)
        let x = x.converted(in: single)
        let weight = try weight.tensor(in: context).converted(in: single)
        y.asFloat32(accumulating: accumulating, in: context) { y in
            multiply(
                rows: x.rows, inputs: x.columns, outputs: y.columns, x: x.pointer, weight: weight.pointer,
                transposed: transposed, accumulating: accumulating, y: y.elements.pointer)
            if let bias { y.addBias(bias, in: single) }
        }
    }

    func layOut(_ weight: Weight, for size: ProductSize, in context: ComputeContext) throws {
        _ = try weight.tensor(in: context)
    }

    /// The product of plain float32 rows; y's rows are `outputs` apart.
    func multiply(
        rows: Int, inputs: Int, outputs: Int, x: UnsafeRawPointer, weight: UnsafeRawPointer, transposed: Bool,
        accumulating: Bool, y: UnsafeMutableRawPointer
    ) {
        openblas_set_num_threads(Int32(threads))
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, transposed ? CblasNoTrans : CblasTrans, Int32(rows), Int32(outputs),
            Int32(inputs), 1, x.assumingMemoryBound(to: Float.self), Int32(inputs),
            weight.assumingMemoryBound(to: Float.self), Int32(transposed ? outputs : inputs), accumulating ? 1 : 0,
            y.assumingMemoryBound(to: Float.self), Int32(outputs))
    }

    func convolution(_ geometry: ConvolutionGeometry, weight: Weight) -> any ConvolutionKernel {
        OpenBLASConvolution(geometry, weight: weight, backend: self)
    }
}

extension TensorDraft {
    /// Has `body` write these elements as float32: in place where that is their format, else in a draft of its own, which
    /// is rounded to theirs afterwards and starts with their values when accumulating.
    mutating func asFloat32(accumulating: Bool, in context: ComputeContext, _ body: (inout TensorDraft) -> Void) {
        guard elementType != .float32 else { return body(&self) }
        var product =
            accumulating
            ? converted(to: .float32, in: context) : TensorDraft(uninitialized: shape, as: .float32, in: context)
        body(&product)
        copy(product.finished(), in: context)
    }
}
