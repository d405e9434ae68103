from greenuni.wsgi.job cimport Job

cpdef run_in_copy(context, Job job)
