extension Weight {
    /// The weights of the adjoint convolution: `[inputs, outputs, k, k]`, the kernel rotated by 180 degrees.
    func rotated(_ geometry: ConvolutionGeometry) -> Weight {
        Weight(
            "turned", of: self, shape: [geometry.inputs, geometry.outputs, geometry.kernel, geometry.kernel],
            source: RotatedValues(original: self, geometry: geometry))
    }
}

private struct RotatedValues: WeightValues {
    let original: Weight
    let geometry: ConvolutionGeometry

    func float32Values(in context: ComputeContext?) -> [Float] {
        [Float](unsafeUninitializedCapacity: original.count) { rotated, count in
            if let target = rotated.baseAddress { copyFloat32(to: target, in: context) }
            count = original.count
        }
    }

    func copyFloat32(to target: UnsafeMutablePointer<Float>, in context: ComputeContext?) {
        original.withFloat32(in: context) { values in
            // In tiles, so that both sides of the transposition are read and written in runs of cache lines.
            let tile = 32
            for firstOutput in stride(from: 0, to: geometry.outputs, by: tile) {
                for firstInput in stride(from: 0, to: geometry.inputs, by: tile) {
                    rotate(
                        values, into: target,
                        outputs: firstOutput..<min(firstOutput + tile, geometry.outputs),
                        inputs: firstInput..<min(firstInput + tile, geometry.inputs))
                }
            }
        }
    }

    private func rotate(
        _ values: UnsafePointer<Float>, into rotated: UnsafeMutablePointer<Float>, outputs: Range<Int>,
        inputs: Range<Int>
    ) {
        let taps = geometry.kernel * geometry.kernel
        for input in inputs {
            for output in outputs {
                let from = (output * geometry.inputs + input) * taps
                let to = (input * geometry.outputs + output) * taps
                for tap in 0..<taps { rotated[to + tap] = values[from + taps - 1 - tap] }
            }
        }
    }

    func place(of elementType: ElementType) -> (pointer: UnsafeRawPointer, owner: any AnyObject & Sendable)? { nil }
    func releasePages() { original.releasePages() }
}
