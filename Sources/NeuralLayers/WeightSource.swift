import TensorKernels

/// Where a network under construction takes its weights from. A missing or misshapen tensor does not stop
/// construction: it is remembered and reported with all others by `finish()`.
public protocol WeightSource: AnyObject {
    /// Where the network keeps its weights in other formats and layouts.
    var store: WeightStore { get }
    /// The tensor `key` of `shape`; on failure a placeholder of zeros that reads as such.
    func tensor(_ key: String, _ shape: [Int]) -> StoredTensor
    func contains(_ key: String) -> Bool
}
