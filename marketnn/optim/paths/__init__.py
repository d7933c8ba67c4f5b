"""The ways of linearising a least-squares problem, and the choice among them: which products are formed is their whole idea.

linearisation   what a path returns, and the damped step that follows from it
dense           a dense network as matrices; pairs, packed, gram, jacobian and dense_paths stand on it
autodiff        any module, by reverse mode; autodiff_gram is its J J^T
solver          the path with the least predicted time
"""
