/// Which weights of linear layers are copied into the layout that the product library multiplies by fastest, one copy for
/// each way.
///
/// The bits are the same in either layout, so this is a matter of speed and memory alone. In bfloat16 weights are copied out
/// of most files anyway. In float32 they are used where the file has them, which costs no memory and is 3 to 5 % slower; the
/// layers with many rows have the smallest weights.
public enum PackedWeights {
    /// Rows of a product in float32 from which on a copy pays.
    static let fewestRows = 1024

    /// Whether a product of so many rows has its weights copied.
    public static func pay(rows: Int, in type: ElementType) -> Bool { type == .bfloat16 || rows >= fewestRows }
}
