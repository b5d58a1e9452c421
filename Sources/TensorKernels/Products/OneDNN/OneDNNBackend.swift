import COneDNN
import Failures
import Synchronization

/// Products and convolutions by oneDNN.
final class OneDNNBackend: ProductBackend {
    let library: OneDNNLibrary
    private let products = Mutex<[Problem: OneDNNPrimitive]>([:])

    var name: BackendName { .oneDNN }

    init(threads: Int) throws { library = try OneDNNLibrary(threads: threads) }

    /// Tries a small product: in bfloat16 the library has none for a processor without AVX-512.
    func computes(in elementType: ElementType) -> Bool {
        let size = ProductSize(rows: 1, inputs: 16, outputs: 16, transposed: false)
        return (try? makeProduct(Problem(size: size, type: elementType))) != nil
    }

    private struct Problem: Hashable {
        let size: ProductSize
        let type: ElementType
        var outputType = ElementType.float32
        var hasBias = false
        var accumulating = false
    }

    func multiply(
        _ x: Tensor, by weight: Weight, transposed: Bool, bias: [Float]?, into y: inout TensorDraft,
        accumulating: Bool, in context: ComputeContext
    ) throws {
        let size = ProductSize(rows: x.rows, inputs: x.columns, outputs: y.columns, transposed: transposed)
        precondition(weight.count == size.inputs * size.outputs && x.rows == y.rows, "sizes of a product differ")
        let problem = Problem(
            size: size, type: x.elementType, outputType: y.elementType, hasBias: bias != nil,
            accumulating: accumulating)
        let primitive = try product(problem)
        let weights = try elements(of: weight, for: problem, primitive, in: context)
        var arguments: [(OneDNNArgument, UnsafeRawPointer)] = [
            (.source, x.pointer), (.weights, weights.pointer), (.destination, UnsafeRawPointer(y.elements.pointer)),
        ]
        guard let bias else { return try primitive.run(arguments, in: context) }
        try bias.withUnsafeBytes { bias in
            guard let pointer = bias.baseAddress else { return }
            arguments.append((.bias, pointer))
            try primitive.run(arguments, in: context)
        }
    }

    func layOut(_ weight: Weight, for size: ProductSize, in context: ComputeContext) throws {
        let problem = Problem(size: size, type: context.elementType)
        _ = try elements(of: weight, for: problem, product(problem), in: context)
    }

    /// The weight as the product reads it: in the library's own layout where it has one and a copy pays, else row-major.
    private func elements(
        of weight: Weight, for problem: Problem, _ product: OneDNNPrimitive, in context: ComputeContext
    ) throws -> Tensor {
        let plain = try plainLayout(problem.size, problem.type.oneDNN)
        guard let layout = product.layouts[.weights] else {
            throw Failure.internalFault("oneDNN: a product without weights")
        }
        guard let form = layout.text, form != plain.text else { return try weight.tensor(in: context) }
        let way = problem.size.transposed ? "transposed product" : "product"
        let copy = try weight.copy(as: "oneDNN \(way) \(form)", byteCount: layout.byteCount, in: context) {
            values, target, _ in
            try layout.fill(target, from: values, in: plainLayout(problem.size, dnnl_f32), library)
        }
        return Tensor(sharing: copy.pointer, shape: weight.shape, problem.type, owner: copy)
    }

    private func product(_ problem: Problem) throws -> OneDNNPrimitive {
        try products.withLock { products in
            if let primitive = products[problem] { return primitive }
            let primitive = try makeProduct(problem)
            products[problem] = primitive
            return primitive
        }
    }

    private func makeProduct(_ problem: Problem) throws -> OneDNNPrimitive {
        let (size, type) = (problem.size, problem.type.oneDNN)
        let source = try OneDNNLayout([size.rows, size.inputs], type, dnnl_ab)
        let weights =
            PackedWeights.pay(rows: size.rows, in: problem.type)
            ? try OneDNNLayout([size.inputs, size.outputs], type, dnnl_format_tag_any) : try plainLayout(size, type)
        let bias = problem.hasBias ? try OneDNNLayout([1, size.outputs], dnnl_f32, dnnl_ab) : nil
        let destination = try OneDNNLayout([size.rows, size.outputs], problem.outputType.oneDNN, dnnl_ab)
        return try OneDNNPrimitive(
            "product \(size.rows) x \(size.inputs) x \(size.outputs)",
            arguments: [.source, .weights, .destination] + (problem.hasBias ? [.bias] : []), library: library
        ) {
            pilot_dnnl_product_choose(
                &$0, library.engine, source.handle, weights.handle, bias?.handle, destination.handle,
                problem.accumulating ? 1 : 0)
        }
    }

    /// Of a row-major weight, seen as `[inputs, outputs]`.
    private func plainLayout(_ size: ProductSize, _ type: dnnl_data_type_t) throws -> OneDNNLayout {
        try OneDNNLayout(
            [size.inputs, size.outputs], type, strides: size.transposed ? [size.outputs, 1] : [1, size.inputs])
    }

    func convolution(_ geometry: ConvolutionGeometry, weight: Weight) -> any ConvolutionKernel {
        OneDNNConvolution(geometry, weight: weight, library: library)
    }
}
