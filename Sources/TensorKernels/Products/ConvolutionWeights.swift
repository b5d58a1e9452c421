extension Weight {
    /// The weights of the adjoint convolution: `[inputs, outputs, k, k]`, the kernel rotated by 180 degrees.
    func rotated(_ geometry: ConvolutionGeometry) -> Weight {
        Weight(
            name: name, shape: [geometry.inputs, geometry.outputs, geometry.kernel, geometry.kernel],
            source: RotatedValues(original: self, geometry: geometry))
    }
}

private struct RotatedValues: WeightValues {
    let original: Weight
    let geometry: ConvolutionGeometry

    func float32Values() -> [Float] {
        let taps = geometry.kernel * geometry.kernel
        return original.withFloat32 { values in
            [Float](unsafeUninitializedCapacity: original.count) { rotated, count in
                count = original.count
                for input in 0..<geometry.inputs {
                    for output in 0..<geometry.outputs {
                        let from = (output * geometry.inputs + input) * taps
                        let to = (input * geometry.outputs + output) * taps
                        for tap in 0..<taps { rotated[to + tap] = values[from + taps - 1 - tap] }
                    }
                }
            }
        }
    }

    func place(of elementType: ElementType) -> (pointer: UnsafeRawPointer, owner: any AnyObject & Sendable)? { nil }
    func releasePages() { original.releasePages() }
}
