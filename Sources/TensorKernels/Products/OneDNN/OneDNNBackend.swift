import COneDNN
import Synchronization

/// Products and convolutions by oneDNN.
final class OneDNNBackend: ProductBackend {
    let library: OneDNNLibrary
    private let products = Mutex<[Problem: OneDNNPrimitive]>([:])

    var name: BackendName { .oneDNN }

    init(threads: Int) throws { library = try OneDNNLibrary(threads: threads) }

    /// Tries a small product: in bfloat16 the library has none for a processor without AVX-512.
    func computes(in elementType: ElementType) -> Bool {
        let problem = Problem(
            rows: 1, inputs: 16, outputs: 16, type: elementType, outputType: .float32, transposed: false,
            hasBias: false, accumulating: false)
        return (try? makeProduct(problem)) != nil
    }

    private struct Problem: Hashable {
        let rows: Int
        let inputs: Int
        let outputs: Int
        let type: ElementType
        let outputType: ElementType
        let transposed: Bool
        let hasBias: Bool
        let accumulating: Bool
    }

    func multiply(
        _ x: Tensor, by weight: Tensor, transposed: Bool, bias: [Float]?, into y: inout TensorDraft,
        accumulating: Bool, in context: ComputeContext
    ) throws {
        let problem = Problem(
            rows: x.rows, inputs: x.columns, outputs: y.columns, type: x.elementType,
            outputType: y.elementType, transposed: transposed,
            hasBias: bias != nil, accumulating: accumulating)
        precondition(weight.count == problem.inputs * problem.outputs && x.rows == y.rows, "sizes of a product differ")
        let primitive = try products.withLock { products in
            if let primitive = products[problem] { return primitive }
            let primitive = try makeProduct(problem)
            products[problem] = primitive
            return primitive
        }
        var arguments: [(OneDNNArgument, UnsafeRawPointer)] = [
            (.source, x.pointer), (.weights, weight.pointer), (.destination, UnsafeRawPointer(y.elements.pointer)),
        ]
        guard let bias else { return try primitive.run(arguments, in: context) }
        try bias.withUnsafeBytes { bias in
            guard let pointer = bias.baseAddress else { return }
            arguments.append((.bias, pointer))
            try primitive.run(arguments, in: context)
        }
    }

    private func makeProduct(_ problem: Problem) throws -> OneDNNPrimitive {
        let type = problem.type.oneDNN
        let source = try OneDNNLayout([problem.rows, problem.inputs], type, dnnl_ab)
        let weights = try OneDNNLayout(
            [problem.inputs, problem.outputs], type,
            strides: problem.transposed ? [problem.outputs, 1] : [1, problem.inputs])
        let bias = problem.hasBias ? try OneDNNLayout([1, problem.outputs], dnnl_f32, dnnl_ab) : nil
        let destination = try OneDNNLayout([problem.rows, problem.outputs], problem.outputType.oneDNN, dnnl_ab)
        return try OneDNNPrimitive(
            "product \(problem.rows) x \(problem.inputs) x \(problem.outputs)",
            arguments: [.source, .weights, .destination] + (problem.hasBias ? [.bias] : []), library: library
        ) {
            pilot_dnnl_product_choose(
                &$0, library.engine, source.handle, weights.handle, bias?.handle, destination.handle,
                problem.accumulating ? 1 : 0)
        }
    }

    func convolution(_ geometry: ConvolutionGeometry, weight: Weight) -> any ConvolutionKernel {
        OneDNNConvolution(geometry, weight: weight, library: library)
    }
}
