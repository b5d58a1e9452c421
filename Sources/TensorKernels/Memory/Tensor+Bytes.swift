extension Tensor {
    /// A tensor over memory that `owner` keeps alive and nobody writes to any more, without a copy; nil if the sides
    /// are not positive or do not fill the bytes exactly.
    public init?(
        sharing bytes: UnsafeRawBufferPointer, shape: [Int], as elementType: ElementType,
        keeping owner: any AnyObject & Sendable
    ) {
        var count = elementType.byteCount
        for side in shape {
            let (product, overflows) = count.multipliedReportingOverflow(by: side)
            guard side > 0, !overflows else { return nil }
            count = product
        }
        guard !shape.isEmpty, count == bytes.count, let start = bytes.baseAddress else { return nil }
        self.init(sharing: start, shape: shape, elementType, owner: owner)
    }
}
