import COneDNN
import Synchronization

/// Products and convolutions by oneDNN.
final class OneDNNBackend: ProductBackend {
    let library: OneDNNLibrary
    private let products = Mutex<[Problem: Product]>([:])

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

    private struct Product {
        let primitive: OneDNNPrimitive
        /// How the weight is to be copied; nil where it is read as it is, row-major.
        let packing: (layout: OneDNNLayout, form: String)?
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
        let product = try product(problem)
        let weights = try elements(of: weight, for: problem, product, in: context)
        var arguments: [(OneDNNArgument, UnsafeRawPointer)] = [
            (.source, x.pointer), (.weights, weights.pointer), (.destination, UnsafeRawPointer(y.elements.pointer)),
        ]
        guard let bias else { return try product.primitive.run(arguments, in: context) }
        try bias.withUnsafeBytes { bias in
            guard let pointer = bias.baseAddress else { return }
            arguments.append((.bias, pointer))
            try product.primitive.run(arguments, in: context)
        }
    }

    func layOut(_ weight: Weight, for size: ProductSize, in context: ComputeContext) throws {
        let problem = Problem(size: size, type: context.elementType)
        _ = try elements(of: weight, for: problem, product(problem), in: context)
    }

    /// The weight as the product reads it.
    private func elements(
        of weight: Weight, for problem: Problem, _ product: Product, in context: ComputeContext
    ) throws -> Tensor {
        guard let (layout, form) = product.packing else { return try weight.tensor(in: context) }
        let copy = try weight.copy(as: form, byteCount: layout.byteCount, in: context) { values, target, _ in
            try layout.fill(target, from: values, in: plainLayout(problem.size, dnnl_f32), library)
        }
        return Tensor(sharing: copy.pointer, shape: weight.shape, problem.type, owner: copy)
    }

    private func product(_ problem: Problem) throws -> Product {
        try products.withLock { products in
            if let product = products[problem] { return product }
            let product = try makeProduct(problem)
            products[problem] = product
            return product
        }
    }

    private func makeProduct(_ problem: Problem) throws -> Product {
        let (size, type) = (problem.size, problem.type.oneDNN)
        let source = try OneDNNLayout([size.rows, size.inputs], type, dnnl_ab)
        let plain = try plainLayout(size, type)
        let weights =
            PackedWeights.pay(rows: size.rows, in: problem.type)
            ? try OneDNNLayout([size.inputs, size.outputs], type, dnnl_format_tag_any) : plain
        let bias = problem.hasBias ? try OneDNNLayout([1, size.outputs], dnnl_f32, dnnl_ab) : nil
        let destination = try OneDNNLayout([size.rows, size.outputs], problem.outputType.oneDNN, dnnl_ab)
        let primitive = try OneDNNPrimitive(
            "product \(size.rows) x \(size.inputs) x \(size.outputs)",
            arguments: [.source, .weights, .destination] + (problem.hasBias ? [.bias] : []), library: library
        ) {
            pilot_dnnl_product_choose(
                &$0, library.engine, source.handle, weights.handle, bias?.handle, destination.handle,
                problem.accumulating ? 1 : 0)
        }
        // A library without a layout of its own says the plain one.
        guard let layout = primitive.layouts[.weights], let text = layout.text, text != plain.text else {
            return Product(primitive: primitive, packing: nil)
        }
        let form = "oneDNN \(size.transposed ? "transposed product" : "product") \(text)"
        return Product(primitive: primitive, packing: (layout, form))
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
